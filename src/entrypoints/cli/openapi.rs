//! `docket openapi`: the document that describes the API.

use std::io::Write;

use super::Failure;
use crate::entrypoints::http::router;

const EXAMPLES: &str = "\
Examples:
  docket openapi > openapi.json        save the OpenAPI 3.1 document
  docket openapi | jq '.paths | keys'  list the paths

A running service serves the same document at /openapi.json and a page for it at /docs.";

/// Arguments of `docket openapi`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Prints the document.
pub fn run(_: &Args) -> Result<(), Failure> {
    let json = router::document().to_pretty_json().map_err(|error| Failure::new(error.to_string()))?;
    let printed = writeln!(std::io::stdout(), "{json}");
    // A reader that has seen enough (`| head`) is no failure.
    printed
        .or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        .map_err(|error| Failure::new(format!("cannot print: {error}")))
}
