//! Secrets that the service makes for itself on the first start, in files only their owner may read.

use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Fresh random bytes from the operating system.
#[allow(clippy::disallowed_methods, reason = "this is where the service's randomness comes from")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// The 32 bytes in the file, or fresh ones that are written to it (mode 600) if it does not exist.
///
/// Of two processes that start at the same moment one creates the file and the other reads it.
pub fn read_or_create(path: &Path) -> io::Result<[u8; 32]> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let fresh: [u8; 32] = random_bytes();
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            file.write_all(&fresh)?;
            file.sync_all()?;
            Ok(fresh)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(error) => Err(error),
    }
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let mut secret = [0; 32];
    std::fs::File::open(path)?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deeper/key");
        let first = read_or_create(&path).unwrap();
        assert_eq!(read_or_create(&path).unwrap(), first);
        assert_ne!(first, [0; 32]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
