//! The embedded PostgreSQL: binaries from a wheel, a data directory of ours, a socket nobody else can open.
//!
//! One data directory has at most one server and any number of using processes. Whoever comes first starts the server,
//! the others adopt it, the last one to leave stops it; a process that was killed leaves a server that the next one
//! adopts. Nothing here speaks SQL: a caller gets a URL.

mod cluster;
mod configuration;
mod error;
mod install;
mod launcher;
mod locks;
mod postmaster;
mod server;
mod socket;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

pub use error::EmbeddedPostgresError;
pub use install::INSTALL_VARIABLE;

use install::Installation;
use locks::{StartLock, UserLock};
use postmaster::Postmaster;

/// The role that initdb creates.
const SUPERUSER: &str = "postgres";

/// Where and how an embedded server runs.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// The cluster's directory, for example `.docket/postgres`; created when missing. Lock files stand beside it.
    pub data_dir: PathBuf,
    /// The directory that holds `bin/postgres`; `None` searches `DOCKET_POSTGRES_INSTALL`, then the virtual
    /// environments near the working directory and the executable.
    pub install_dir: Option<PathBuf>,
    /// False only for throw-away test servers: they do not sync and lose everything at a power failure.
    pub durable: bool,
    /// 1 to 65,535; each connection is a process of the server.
    pub max_connections: u16,
    /// When this process is root: true tries a user namespace before an unprivileged user.
    pub user_namespace: bool,
}

impl EmbeddedSettings {
    /// A durable server for one service: 100 connections, installation searched.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), install_dir: None, durable: true, max_connections: 100, user_namespace: true }
    }
}

/// A running embedded server and the registration of this process as one of its users.
///
/// Dropping the handle gives up the registration and leaves the server running for the next process to adopt; call
/// [`EmbeddedPostgres::stop`] to end it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    settings: EmbeddedSettings,
    installation: Installation,
    data_dir: PathBuf,
    socket_directory: PathBuf,
    port: u16,
    user: UserLock,
}

impl EmbeddedPostgres {
    /// Starts the server, or adopts the one that already runs on the data directory, and returns when it accepts
    /// connections. Creates the cluster when there is none. Leftovers of killed processes do not hinder it.
    pub async fn start(settings: &EmbeddedSettings) -> Result<Self, EmbeddedPostgresError> {
        let installation = Installation::find(settings.install_dir.as_deref())?;
        let data_dir = absolute(&settings.data_dir)?;
        let _starting = StartLock::acquire(&data_dir).await?;
        let user = UserLock::register(&data_dir)?;
        let Postmaster { port, socket_directory, .. } =
            server::ensure_running(&data_dir, &installation, settings).await?;
        Ok(Self { settings: settings.clone(), installation, data_dir, socket_directory, port, user })
    }

    /// Starts the server again after it died or was killed; a no-op while it runs. The URL stays the same.
    pub async fn restart(&self) -> Result<(), EmbeddedPostgresError> {
        let _starting = StartLock::acquire(&self.data_dir).await?;
        server::ensure_running(&self.data_dir, &self.installation, &self.settings).await?;
        Ok(())
    }

    /// Ends this process's use of the server. The last user shuts it down: open transactions are rolled back, a
    /// checkpoint is written. Returns true if the server was stopped, false if others still use it.
    pub async fn stop(self) -> Result<bool, EmbeddedPostgresError> {
        let _stopping = StartLock::acquire(&self.data_dir).await?;
        if !self.user.is_last_user()? {
            tracing::info!("other processes use PostgreSQL, leaving it running");
            return Ok(false);
        }
        server::shut_down(&self.data_dir, Signal::INT).await?;
        tracing::info!(data_dir = %self.data_dir.display(), "PostgreSQL is stopped");
        Ok(true)
    }

    /// Stops the server under its users as a power failure would: no checkpoint, every connection cut. For fault
    /// tests; [`EmbeddedPostgres::restart`] recovers.
    pub async fn kill_immediate(&self) -> Result<(), EmbeddedPostgresError> {
        let _stopping = StartLock::acquire(&self.data_dir).await?;
        server::shut_down(&self.data_dir, Signal::QUIT).await
    }

    /// The directory of the server's socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_directory
    }

    /// The port, which only names the socket file: the server listens on no network address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The name of the superuser; it needs no password on the socket.
    pub fn superuser(&self) -> &'static str {
        SUPERUSER
    }

    /// The canonical data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The process id of the server, `None` while it does not run.
    pub fn process_id(&self) -> Option<u32> {
        let postmaster = Postmaster::read(&self.data_dir).filter(|postmaster| postmaster.is_alive(&self.data_dir))?;
        u32::try_from(postmaster.pid).ok()
    }

    /// A connection URL that sqlx and libpq (psql, pgbench) understand.
    pub fn url(&self, user: &str, database: &str) -> String {
        let socket = percent_encode(&self.socket_directory.to_string_lossy());
        let (user, database, port) = (percent_encode(user), percent_encode(database), self.port);
        format!("postgres://{user}@localhost/{database}?host={socket}&port={port}")
    }
}

/// The canonical path of the data directory, whose parent is created: lock files and the socket's name depend on it.
fn absolute(data_dir: &Path) -> Result<PathBuf, EmbeddedPostgresError> {
    if let Ok(found) = data_dir.canonicalize() {
        return Ok(found);
    }
    let absolute = std::path::absolute(data_dir).map_err(EmbeddedPostgresError::file("find", data_dir))?;
    let parent = absolute.parent().unwrap_or(&absolute);
    std::fs::create_dir_all(parent).map_err(EmbeddedPostgresError::file("create", parent))?;
    let parent = parent.canonicalize().map_err(EmbeddedPostgresError::file("find", parent))?;
    Ok(absolute.file_name().map_or_else(|| parent.clone(), |name| parent.join(name)))
}

/// RFC 3986, section 2.1: everything but unreserved characters, since libpq takes `+` for a plus.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
