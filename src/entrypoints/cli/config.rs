//! `docket config`: every setting, its value and where it came from; secrets masked.

use std::io::Write as _;

use super::Failure;
use crate::config::{Sources, default_toml, effective_text, load};

const EXAMPLES: &str = "\
Examples:
  docket config                           show every effective value and its origin
  docket config --default > docket.toml   start a file of your own from the documented defaults
  docket --config prod.toml config        check another file";

/// Arguments of `docket config`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print the commented default file instead
    #[arg(long)]
    default: bool,
}

/// Prints the settings, or fails with all mistakes in them.
pub fn run(args: &Args, sources: &Sources) -> Result<(), Failure> {
    if args.default { print(&default_toml()) } else { print(&effective_text(&load(sources)?.effective)) }
}

/// Writes to standard output; a reader that went away (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
