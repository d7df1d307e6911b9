//! Signing with Ed25519; the private key is a PKCS#8 PEM file that only its owner may read.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::ed25519::signature::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

use super::secret_file::random_bytes;
use crate::application::ports::Signer;
use crate::application::ports::signer::Signed;

/// [`Signer`] with a key on this machine.
pub struct Ed25519Signer {
    key: SigningKey,
    retired: Vec<[u8; 32]>,
}

impl Ed25519Signer {
    /// A signer with this key.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_bytes(secret), retired: Vec::new() }
    }

    /// The same, knowing the public keys that signed before it.
    #[must_use]
    pub fn with_retired(self, retired: Vec<[u8; 32]>) -> Self {
        Self { retired, ..self }
    }

    /// The signer with the key in the file; a fresh key is written to it (mode 600) if it does not exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(pem) => Self::from_pem(&pem, path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error),
        }
    }

    /// Writes a fresh key beside the path and links it into place, so that no process ever reads half a key, and of two
    /// processes that start at the same moment the second uses the first one's.
    fn create(path: &Path) -> io::Result<Self> {
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(directory)?;
        let key = SigningKey::from_bytes(&random_bytes());
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|error| io::Error::other(error.to_string()))?;
        let draft = path.with_extension(format!("{}.new", hex::encode(random_bytes::<8>())));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        match linked {
            Ok(()) => {
                std::fs::File::open(directory)?.sync_all()?;
                Ok(Self { key, retired: Vec::new() })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::from_pem(&std::fs::read_to_string(path)?, path)
            }
            Err(error) => Err(error),
        }
    }

    fn from_pem(pem: &str, path: &Path) -> io::Result<Self> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| {
            let path = path.display();
            io::Error::new(io::ErrorKind::InvalidData, format!("{path} holds no Ed25519 key in PKCS#8 PEM form"))
        })?;
        Ok(Self { key, retired: Vec::new() })
    }
}

impl Signer for Ed25519Signer {
    fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Signed {
        Signed { public_key: self.public_key(), signature: self.key.sign(message).to_bytes() }
    }

    fn retired(&self, public_key: &[u8; 32]) -> bool {
        self.retired.contains(public_key)
    }

    fn verify(&self, message: &[u8], signed: &Signed) -> bool {
        let signature = Signature::from_bytes(&signed.signature);
        VerifyingKey::from_bytes(&signed.public_key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_kept_for_its_owner_and_signs_what_it_verifies() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deeper/audit_signing.key");
        let first = Ed25519Signer::open(&path).unwrap();
        let second = Ed25519Signer::open(&path).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
        let signed = first.sign(b"statement");
        assert!(second.verify(b"statement", &signed));
        assert!(!second.verify(b"Statement", &signed));
        let foreign = Signed { public_key: Ed25519Signer::new(&[7; 32]).public_key(), ..signed };
        assert!(!second.verify(b"statement", &foreign));
        std::fs::write(&path, "nonsense").unwrap();
        assert!(Ed25519Signer::open(&path).is_err());
    }
}
