//! `docket serve`: the service until SIGTERM or Ctrl-C.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::bootstrap;
use crate::config::{Flag, Loaded};

const EXAMPLES: &str = "\
Examples:
  docket serve                              127.0.0.1:8080, embedded database under .docket/
  docket serve --bind 0.0.0.0:9000          every address, port 9000
  DATABASE_URL=postgres://... docket serve  your own PostgreSQL
  docket serve --role api                   answer requests only; let others do the background work
  docket serve --role worker --bind 127.0.0.1:9001
                                            background work only, with health and metrics on that port

SIGTERM or Ctrl-C: readiness fails, no new connections and no new jobs; what is in flight finishes within
server.shutdown_grace_ms, and jobs that do not are handed back to the queue.
A second Ctrl-C exits at once.";

/// Arguments of `docket serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on (setting server.bind)
    #[arg(long, value_name = "ADDRESS:PORT")]
    bind: Option<String>,
    /// What this process does: all, api or worker (setting server.role)
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
}

impl Args {
    /// The settings that these arguments change.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let flag = |name: &str, value: &Option<String>| {
            let (flag, key) = (format!("--{name}"), format!("server.{name}"));
            value.clone().map(|value| Flag { flag, key, value })
        };
        flag("bind", &self.bind).into_iter().chain(flag("role", &self.role)).collect()
    }
}

/// Serves until told to stop.
pub async fn run(_: Args, loaded: Loaded) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone()));
    Ok(bootstrap::serve(loaded.config, shutdown).await?)
}

/// Cancels `shutdown` on SIGTERM or SIGINT; a second one ends the process at once with the shell's exit code for SIGINT.
pub(super) async fn cancel_on_signal(shutdown: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("cannot listen for signals; the service stops only by SIGKILL");
        return;
    };
    let mut asked = false;
    loop {
        let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
        if asked {
            tracing::warn!(signal = name, "told twice to stop: leaving without waiting");
            std::process::exit(130);
        }
        asked = true;
        tracing::info!(signal = name, "stopping: finishing what is in flight");
        shutdown.cancel();
    }
}
