//! `docket completions`: the completion script of a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure};

const EXAMPLES: &str = "\
Examples:
  docket completions bash > ~/.local/share/bash-completion/completions/docket
  docket completions zsh  > ~/.zfunc/_docket
  docket completions fish > ~/.config/fish/completions/docket.fish";

/// Arguments of `docket completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell to complete for
    shell: Shell,
}

/// Prints the script to standard output.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "docket", &mut script);
    super::config::print(&String::from_utf8_lossy(&script))
}
