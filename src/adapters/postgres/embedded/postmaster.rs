//! A running server as seen from outside: its `postmaster.pid`, its process, and whether it answers on its socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::socket::socket_file;
use super::{EmbeddedPostgresError, SUPERUSER};

/// What `postmaster.pid` says (src/include/utils/pidfile.h: one item per line).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Postmaster {
    pub(super) pid: i32,
    pub(super) port: u16,
    pub(super) socket_directory: PathBuf,
    /// The server said that it accepts connections.
    pub(super) ready: bool,
}

impl Postmaster {
    pub(super) fn pid_file(data_dir: &Path) -> PathBuf {
        data_dir.join("postmaster.pid")
    }

    /// Reads the file; `None` if there is none or it is not complete, as in the first milliseconds of a start.
    pub(super) fn read(data_dir: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(Self::pid_file(data_dir)).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok().filter(|pid: &i32| *pid > 0)?;
        let port = lines.nth(2)?.parse().ok()?;
        let socket_directory = PathBuf::from(lines.next()?);
        let ready = lines.nth(2) == Some("ready");
        Some(Self { pid, port, socket_directory, ready })
    }

    /// True if the process lives and is this directory's server, not a stranger that got the number of a dead one.
    pub(super) fn is_alive(&self, data_dir: &Path) -> bool {
        let process = PathBuf::from(format!("/proc/{}", self.pid));
        is_postgres(&process) && std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data_dir)
    }

    /// True if the server lets the superuser in: a startup message is answered by an authentication request (`R`).
    /// See "Message Formats" of the PostgreSQL manual; protocol 3.0.
    pub(super) async fn answers(&self) -> bool {
        let conversation = async {
            let mut stream = UnixStream::connect(socket_file(&self.socket_directory, self.port)).await?;
            let parameters = format!("user\0{SUPERUSER}\0database\0postgres\0\0");
            let length = u32::try_from(8 + parameters.len()).unwrap_or(u32::MAX);
            let mut message = length.to_be_bytes().to_vec();
            message.extend_from_slice(&196_608_u32.to_be_bytes());
            message.extend_from_slice(parameters.as_bytes());
            stream.write_all(&message).await?;
            let kind = stream.read_u8().await?;
            // Terminate politely, or the server logs a lost connection.
            let _ = stream.write_all(&[b'X', 0, 0, 0, 4]).await;
            std::io::Result::Ok(kind == b'R')
        };
        matches!(tokio::time::timeout(Duration::from_secs(2), conversation).await, Ok(Ok(true)))
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), EmbeddedPostgresError> {
        send(self.pid, signal)
    }
}

/// Ends the backends that a killed postmaster left behind: they still hold its shared memory, and the next server
/// would refuse to start beside them. Most leave by themselves as soon as they look up from their work.
pub(super) async fn end_orphans(data_dir: &Path) -> Result<(), EmbeddedPostgresError> {
    for round in 0..500 {
        let orphans = processes_in(data_dir);
        if orphans.is_empty() {
            break;
        }
        let signal = match round {
            50 => Some(Signal::QUIT),
            200 => Some(Signal::KILL),
            _ => None,
        };
        if let Some(signal) = signal {
            tracing::warn!(?orphans, ?signal, "backends outlive their postmaster, ending them");
            for pid in orphans {
                send(pid, signal)?;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Every PostgreSQL process whose working directory is the data directory, as that of each of its processes is.
fn processes_in(data_dir: &Path) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .filter(|(_, process)| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data_dir))
        .filter(|(_, process)| is_postgres(process))
        .map(|(pid, _)| pid)
        .collect()
}

/// A dead process that its parent has not collected yet has an empty command line and counts as gone.
fn is_postgres(process: &Path) -> bool {
    std::fs::read(process.join("cmdline")).is_ok_and(|line| {
        let program = line.split(|byte| *byte == 0 || *byte == b' ').next().unwrap_or_default();
        let program = program.strip_suffix(b":").unwrap_or(program);
        program.rsplit(|byte| *byte == b'/').next() == Some(b"postgres")
    })
}

fn send(pid: i32, signal: Signal) -> Result<(), EmbeddedPostgresError> {
    let Some(process) = Pid::from_raw(pid) else { return Ok(()) };
    match kill_process(process, signal) {
        // Already gone is what was wanted.
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(EmbeddedPostgresError::Signal { pid, source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_pid_file_names_process_port_socket_and_status() {
        let text = "4711\n/data\n1793412000\n5432\n/data/socket\n\n  1234567   98304\nready   \n";
        let expected =
            Postmaster { pid: 4711, port: 5432, socket_directory: PathBuf::from("/data/socket"), ready: true };
        assert_eq!(Postmaster::parse(text), Some(expected));
    }

    #[test]
    fn an_incomplete_pid_file_is_no_server() {
        for text in ["", "12", "12\n/data\n1\n", "-1\n/data\n1\n5432\n/s\n", "x\n/data\n1\n5432\n/s\n"] {
            assert_eq!(Postmaster::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_starting_server_is_not_ready() {
        assert!(!Postmaster::parse("4711\n/data\n1\n5432\n/s\n\n  1   2\nstarting\n").unwrap().ready);
        assert!(!Postmaster::parse("4711\n/data\n1\n5432\n/s\n").unwrap().ready);
    }
}
