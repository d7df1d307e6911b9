//! The two lock files beside the data directory: who uses the server, and who is starting or stopping it right now.
//!
//! Both are `flock` locks, so the kernel drops them when a process dies, however it dies. Rust opens files
//! close-on-exec, so the server does not inherit them.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::EmbeddedPostgresError;

/// Held exclusively while the server is started, adopted or stopped; dropped with the value.
#[derive(Debug)]
pub(super) struct StartLock {
    _file: File,
}

impl StartLock {
    /// Waits for whoever is starting or stopping this server.
    pub(super) async fn acquire(data_dir: &Path) -> Result<Self, EmbeddedPostgresError> {
        let path = beside(data_dir, "start.lock");
        let file = open(&path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(TryLockError::Error(source)) => return Err(EmbeddedPostgresError::file("lock", path)(source)),
            }
        }
    }
}

/// Held shared for as long as a process uses the server.
#[derive(Debug)]
pub(super) struct UserLock {
    file: File,
    path: PathBuf,
}

impl UserLock {
    /// Registers this process as a user. Call it under the [`StartLock`], which is the only place where somebody may
    /// hold this lock exclusively; so it never waits.
    pub(super) fn register(data_dir: &Path) -> Result<Self, EmbeddedPostgresError> {
        let path = beside(data_dir, "users.lock");
        let file = open(&path)?;
        file.lock_shared().map_err(EmbeddedPostgresError::file("lock", &path))?;
        Ok(Self { file, path })
    }

    /// True if nobody else uses the server. Gives up the own registration either way, because Linux drops the shared
    /// lock before it tries the exclusive one. Call it under the [`StartLock`].
    pub(super) fn is_last_user(&self) -> Result<bool, EmbeddedPostgresError> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(EmbeddedPostgresError::file("lock", &self.path)(source)),
        }
    }
}

/// `<parent>/<name>.<suffix>`, because the data directory itself does not exist before initdb and belongs to it.
pub(super) fn beside(data_dir: &Path, suffix: &str) -> PathBuf {
    let mut name = data_dir.file_name().map_or_else(|| OsString::from("postgres"), OsString::from);
    name.push(".");
    name.push(suffix);
    data_dir.with_file_name(name)
}

fn open(path: &Path) -> Result<File, EmbeddedPostgresError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(EmbeddedPostgresError::file("open", path))
}
