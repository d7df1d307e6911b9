//! `docket serve`: the service until SIGTERM or Ctrl-C.

use std::time::Duration;

use super::Failure;
use crate::bootstrap::{self, Shutdown};
use crate::config::{Config, Flag, Loaded};
use tokio::signal::unix::{SignalKind, signal};

const EXAMPLES: &str = "\
Examples:
  docket serve                              127.0.0.1:8080, embedded database under .docket/
  docket serve --bind 0.0.0.0:9000          every address, port 9000
  DATABASE_URL=postgres://... docket serve  your own PostgreSQL
  docket serve --role api                   answer requests only; let others do the background work
  docket serve --role worker --bind 127.0.0.1:9001
                                            background work only, with health and metrics on that port

SIGTERM or Ctrl-C: readiness fails and no job begins; after server.drain_delay_ms no new connections; what is in flight
finishes within server.shutdown_grace_ms, and jobs that do not are handed back to the queue.
A second Ctrl-C ends the delay, or exits at once when there is none.";

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
    let shutdown = Shutdown::default();
    tokio::spawn(stop_on_signal(shutdown.clone(), drain_delay(&loaded.config)));
    Ok(bootstrap::serve(loaded.config, shutdown).await?)
}

/// How long a process that was told to stop goes on serving. Only whoever answers requests is sent any: a worker has none to
/// wait for.
pub(super) fn drain_delay(config: &Config) -> Duration {
    Duration::from_millis(if config.server.role.serves_api() { config.server.drain_delay_ms } else { 0 })
}

/// Begins `shutdown` on SIGTERM or SIGINT. A second one ends the delay before the service closes; when that is over, the next
/// ends the process at once with the shell's exit code for SIGINT.
pub(super) async fn stop_on_signal(shutdown: Shutdown, delay: Duration) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("cannot listen for signals; the service stops only by SIGKILL");
        return;
    };
    loop {
        let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
        if shutdown.closing.is_cancelled() {
            tracing::warn!(signal = name, "told again to stop: leaving without waiting");
            std::process::exit(130);
        }
        if shutdown.begun.is_cancelled() {
            tracing::info!(signal = name, "told again to stop: no new connections from here on");
            shutdown.closing.cancel();
        } else {
            tracing::info!(signal = name, "stopping: finishing what is in flight");
            shutdown.begin(delay);
        }
    }
}
