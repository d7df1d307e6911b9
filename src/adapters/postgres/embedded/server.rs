//! The server's life: adopt the one that runs or launch one, wait until it answers, shut it down.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use super::install::Installation;
use super::postmaster::{self, Postmaster};
use super::{EmbeddedPostgresError, EmbeddedSettings, cluster, socket};

/// How often the state of the server is looked at while waiting.
const POLL: Duration = Duration::from_millis(10);

/// Crash recovery replays up to `max_wal_size` of log, which takes tens of seconds on a slow disk.
const LONGEST_START: Duration = Duration::from_mins(2);

/// A fast shutdown writes one checkpoint.
const LONGEST_STOP: Duration = Duration::from_mins(1);

/// The server's output before its own log takes over, and all of it on a throw-away server.
const START_LOG: &str = "start.log";

/// Returns the running server of the data directory and starts it if there is none. Call it under the start lock.
pub(super) async fn ensure_running(
    data_dir: &Path,
    installation: &Installation,
    settings: &EmbeddedSettings,
) -> Result<Postmaster, EmbeddedPostgresError> {
    if let Some(postmaster) = adopt(data_dir).await? {
        tracing::info!(pid = postmaster.pid, data_dir = %data_dir.display(), "using the running PostgreSQL");
        return Ok(postmaster);
    }
    postmaster::end_orphans(data_dir).await?;
    let programs = cluster::prepare(data_dir, installation, settings).await?;
    // What a killed server left would be believed again as soon as its process id belongs to somebody else.
    let _ = std::fs::remove_file(Postmaster::pid_file(data_dir));
    let socket_directory = socket::choose_directory(data_dir);
    if socket_directory != data_dir {
        socket::prepare_directory(&socket_directory, programs.owner())?;
    }
    socket::remove_leftovers(&socket_directory);
    cluster::write_settings(data_dir, &socket_directory, &programs, settings)?;

    let start_log = data_dir.join(START_LOG);
    let log = std::fs::File::create(&start_log).map_err(EmbeddedPostgresError::file("create", &start_log))?;
    let log_too = log.try_clone().map_err(EmbeddedPostgresError::file("open", &start_log))?;
    let mut command = programs.detached_command("postgres");
    command.arg("-D").arg(data_dir).stdout(log).stderr(log_too);
    // Its own process group: Ctrl-C at the terminal must reach the service, which drains first, and not the server.
    command.process_group(0);
    let child = command.spawn().map_err(|source| EmbeddedPostgresError::Run { program: "postgres", source })?;
    wait_until_ready(data_dir, child).await
}

/// Waits for a server that is alive to become ready or to go away; `None` if none is alive.
async fn adopt(data_dir: &Path) -> Result<Option<Postmaster>, EmbeddedPostgresError> {
    let waiting = async {
        loop {
            let postmaster = Postmaster::read(data_dir)?;
            // A server of another container has no process here, but its socket answers: never start beside it.
            if postmaster.ready && postmaster.answers().await {
                return Some(postmaster);
            }
            if !postmaster.is_alive(data_dir) {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LONGEST_START, waiting).await.map_err(|_| timed_out(data_dir, "ready", LONGEST_START))
}

async fn wait_until_ready(data_dir: &Path, mut child: Child) -> Result<Postmaster, EmbeddedPostgresError> {
    let pid = i64::from(child.id());
    let waiting = async {
        loop {
            if let Some(postmaster) = Postmaster::read(data_dir)
                && i64::from(postmaster.pid) == pid
                && postmaster.ready
                && postmaster.answers().await
            {
                return Ok(postmaster);
            }
            match child.try_wait() {
                Ok(None) => tokio::time::sleep(POLL).await,
                Ok(Some(_)) => {
                    let log = last_lines(data_dir);
                    return Err(EmbeddedPostgresError::Ended { data_dir: data_dir.to_path_buf(), log });
                }
                Err(source) => return Err(EmbeddedPostgresError::Run { program: "postgres", source }),
            }
        }
    };
    let outcome = tokio::time::timeout(LONGEST_START, waiting).await;
    let postmaster = outcome.map_err(|_| timed_out(data_dir, "ready", LONGEST_START))??;
    tracing::info!(pid, data_dir = %data_dir.display(), "PostgreSQL is ready");
    // Collects the server when it ends during the life of this process, or it would stay as a zombie.
    std::thread::spawn(move || child.wait());
    Ok(postmaster)
}

/// Asks the server to leave with `signal` and waits until it has. No server is a success.
pub(super) async fn shut_down(data_dir: &Path, signal: Signal) -> Result<(), EmbeddedPostgresError> {
    let Some(postmaster) = Postmaster::read(data_dir).filter(|postmaster| postmaster.is_alive(data_dir)) else {
        return Ok(());
    };
    postmaster.signal(signal)?;
    if wait_until_gone(data_dir, &postmaster).await {
        return Ok(());
    }
    tracing::warn!(pid = postmaster.pid, "PostgreSQL does not stop, forcing it; its next start replays the log");
    postmaster.signal(Signal::QUIT)?;
    if wait_until_gone(data_dir, &postmaster).await {
        return Ok(());
    }
    Err(timed_out(data_dir, "gone", LONGEST_STOP * 2))
}

async fn wait_until_gone(data_dir: &Path, postmaster: &Postmaster) -> bool {
    let waiting = async {
        while postmaster.is_alive(data_dir) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(LONGEST_STOP, waiting).await.is_ok()
}

fn timed_out(data_dir: &Path, expected: &'static str, after: Duration) -> EmbeddedPostgresError {
    let log = last_lines(data_dir);
    EmbeddedPostgresError::TimedOut { data_dir: data_dir.to_path_buf(), expected, after, log }
}

/// The end of the start log and of the newest log file, for error messages.
fn last_lines(data_dir: &Path) -> String {
    let newest = std::fs::read_dir(data_dir.join("log"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .max()
        .map(|(_, path)| path);
    let logs: Vec<PathBuf> = std::iter::once(data_dir.join(START_LOG)).chain(newest).collect();
    let texts = logs.iter().filter_map(|path| std::fs::read(path).ok());
    let tails = texts.map(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    });
    tails.collect::<Vec<_>>().join("\n")
}
