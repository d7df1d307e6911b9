//! Sealing secrets with AES-256-GCM; the key lies in a file or in the configuration, never in the database.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::secret_file::random_bytes;
use crate::application::ports::secret_sealer::{CannotOpen, SecretSealer};

/// The first byte of what is sealed: how it was sealed.
const VERSION: u8 = 1;

/// [`SecretSealer`] with a key of 32 bytes. Sealed is `version || nonce || ciphertext || tag`; nonces are random, which is
/// safe for 2^32 secrets under one key (NIST SP 800-38D, section 8.3).
pub struct AesSealer {
    key: LessSafeKey,
}

impl AesSealer {
    /// A sealer with this key.
    pub fn new(key: &[u8; 32]) -> Result<Self, CannotOpen> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| CannotOpen)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }
}

impl SecretSealer for AesSealer {
    fn seal(&self, secret: &[u8], bound_to: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random_bytes();
        let mut inside = secret.to_vec();
        let sealed =
            self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut inside);
        // It fails only for secrets of 64 GiB; what is empty is never opened.
        if sealed.is_err() {
            return Vec::new();
        }
        [&[VERSION][..], &nonce, &inside].concat()
    }

    fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        let (version, rest) = sealed.split_first().ok_or(CannotOpen)?;
        let (nonce, inside) = rest.split_at_checked(NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut inside = inside.to_vec();
        if *version != VERSION {
            return Err(CannotOpen);
        }
        let opened = self.key.open_in_place(nonce, Aad::from(bound_to), &mut inside).map_err(|_| CannotOpen)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_only_for_the_same_purpose() {
        let keeper = AesSealer::new(&[1; 32]).unwrap();
        let sealed = keeper.seal(b"secret", b"endpoint 1");
        assert_eq!(keeper.open(&sealed, b"endpoint 1").unwrap(), b"secret");
        assert_ne!(sealed, keeper.seal(b"secret", b"endpoint 1"), "a fresh nonce each time");
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(keeper.open(&sealed, b"endpoint 2"), Err(CannotOpen));
        assert_eq!(AesSealer::new(&[2; 32]).unwrap().open(&sealed, b"endpoint 1"), Err(CannotOpen));
        for broken in [&sealed[..0], &sealed[..5], &sealed[..20], &[&[9], &sealed[1..]].concat()] {
            assert_eq!(keeper.open(broken, b"endpoint 1"), Err(CannotOpen));
        }
    }
}
