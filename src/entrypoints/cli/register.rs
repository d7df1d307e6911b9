//! `docket register`: a fictional company register for demonstrations, with a switch for bad days.

use std::net::SocketAddr;
use std::time::Duration;

use console::style;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::serve::stop_on_signal;
use crate::entrypoints::http::register::Register;

const EXAMPLES: &str = "\
Examples:
  docket register                           on 127.0.0.1:8085, until Ctrl-C
  DOCKET_ENRICHMENT__URL=http://127.0.0.1:8085 docket serve
                                            docket asks it about the respondents of submitted cases
  curl -s 'http://127.0.0.1:8085/v1/companies?name=verity+dredging'
                                            ask it yourself
  curl -s -H 'Content-Type: application/json' -d '{\"mode\": \"down\"}' http://127.0.0.1:8085/control
                                            give it a bad day: ok, slow, flaky, down, garbage or flood

Its companies are the respondents of the demo cases. Nothing about it is real, and nobody is asked for a credential:
keep it on this machine.";

/// Where it listens by default.
pub(super) const USUAL_ADDRESS: &str = "127.0.0.1:8085";

/// Arguments of `docket register`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = USUAL_ADDRESS)]
    bind: SocketAddr,
}

/// Serves until told to stop.
pub async fn run(args: Args) -> Result<(), Failure> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone().into(), Duration::ZERO));
    let (register, listener) = open(args.bind).await?;
    println!("{} http://{}   Ctrl-C stops it", style("The company register is at").bold(), args.bind);
    register.serve(listener, stop).await.map_err(|error| Failure::new(error.to_string()))
}

/// A register that listens already.
pub(super) async fn open(bind: SocketAddr) -> Result<(Register, TcpListener), Failure> {
    let register =
        Register::new().map_err(|error| Failure::new(format!("cannot read the list of companies: {error}")))?;
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        Failure::new(format!("cannot listen on {bind}: {error}")).with_hint("choose another port with --bind")
    })?;
    Ok((register, listener))
}
