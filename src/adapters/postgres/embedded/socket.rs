//! Where the server's socket is: in the data directory, or in a private temporary directory if that path is too long.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EmbeddedPostgresError;

/// The server listens on no network address; the number only names the socket file.
pub(super) const PORT: u16 = 5432;

/// `sun_path` of `sockaddr_un` holds 108 bytes with the closing NUL (unix(7)).
const LONGEST_SOCKET_PATH: usize = 107;

/// The socket file of a server inside its directory.
pub(super) fn socket_file(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// Chooses the directory; `data_dir` must be canonical so that every process chooses the same.
pub(super) fn choose_directory(data_dir: &Path) -> PathBuf {
    if socket_file(data_dir, PORT).as_os_str().len() <= LONGEST_SOCKET_PATH {
        return data_dir.to_path_buf();
    }
    let digest = hex::encode(Sha256::digest(data_dir.as_os_str().as_bytes()));
    std::env::temp_dir().join(format!("docket-postgres-{}", &digest[..16]))
}

/// Creates the directory with mode 0700. An existing one is used only if it is a real directory, closed to others and
/// owned by `owner` or this user: a temporary directory is shared with people who could have placed a trap there.
pub(super) fn prepare_directory(directory: &Path, owner: Option<u32>) -> Result<(), EmbeddedPostgresError> {
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found =
                std::fs::symlink_metadata(directory).map_err(EmbeddedPostgresError::file("inspect", directory))?;
            let mine = found.uid() == rustix::process::geteuid().as_raw() || Some(found.uid()) == owner;
            let closed_to_others = found.mode().trailing_zeros() >= 6;
            if !(found.is_dir() && mine && closed_to_others) {
                return Err(EmbeddedPostgresError::UnsafeSocketDirectory { path: directory.to_path_buf() });
            }
        }
        Err(error) => return Err(EmbeddedPostgresError::file("create", directory)(error)),
    }
    if let Some(uid) = owner {
        std::os::unix::fs::chown(directory, Some(uid), Some(uid))
            .map_err(EmbeddedPostgresError::file("give away", directory))?;
    }
    Ok(())
}

/// Removes what a killed server left behind, or its lock file would block the next start as soon as the process id in
/// it is used again. Call it only under the start lock and after the server was found dead.
pub(super) fn remove_leftovers(directory: &Path) {
    let socket = socket_file(directory, PORT);
    let _ = std::fs::remove_file(&socket);
    let _ = std::fs::remove_file(directory.join(format!(".s.PGSQL.{PORT}.lock")));
}
