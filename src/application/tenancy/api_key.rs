//! The form of an API key: `dk_<prefix>_<secret>`.
//!
//! The prefix (12 letters and digits) finds the row; the secret carries 256 random bits in base64url without padding. A
//! secret with that much entropy needs no slow hash: SHA-256 is stored and compared in constant time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every key begins with.
pub const MARK: &str = "dk_";
/// Number of characters of the prefix.
pub const PREFIX_LENGTH: usize = 12;
const SECRET_LENGTH: usize = 43;

/// A key as presented: borrowed, never logged.
#[derive(Clone, Copy)]
pub struct PresentedKey<'a> {
    /// Finds the row.
    pub prefix: &'a str,
    secret: &'a str,
}

impl<'a> PresentedKey<'a> {
    /// Takes a key apart; none if it does not have the form of one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (prefix, secret) = text.strip_prefix(MARK)?.split_at_checked(PREFIX_LENGTH)?;
        let secret = secret.strip_prefix('_')?;
        let prefix_fits = prefix.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (prefix_fits && secret.len() == SECRET_LENGTH).then_some(Self { prefix, secret })
    }

    /// Whether this is the key whose secret has this hash; takes the same time whether or not it is.
    pub fn matches(&self, secret_hash: &[u8; 32]) -> bool {
        hash_secret(self.secret).ct_eq(secret_hash).into()
    }
}

/// A new key, to be shown once.
pub struct NewKey {
    /// The whole key as the client will send it.
    pub text: String,
    /// Finds the row.
    pub prefix: String,
    /// What is stored.
    pub secret_hash: [u8; 32],
}

/// Makes a key from 41 random bytes: 9 for the prefix, 32 for the secret.
pub fn from_random(bytes: &[u8; 41]) -> NewKey {
    let (for_prefix, for_secret) = bytes.split_at(9);
    // Base64url holds `-` and `_`, which would blur the prefix's end: replaced, at the cost of a little entropy there.
    let prefix = URL_SAFE_NO_PAD.encode(for_prefix).replace(['-', '_'], "0");
    let secret = URL_SAFE_NO_PAD.encode(for_secret);
    NewKey { text: format!("{MARK}{prefix}_{secret}"), secret_hash: hash_secret(&secret), prefix }
}

fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_parses_and_matches_its_own_hash_only() {
        let key = from_random(&[0xff; 41]);
        let presented = PresentedKey::parse(&key.text).unwrap();
        assert_eq!(presented.prefix, key.prefix);
        assert!(presented.matches(&key.secret_hash));
        assert!(!presented.matches(&from_random(&[1; 41]).secret_hash));
    }

    #[test]
    fn what_is_not_a_key_does_not_parse() {
        let key = from_random(&[7; 41]).text;
        for bad in ["", "dk_", "dk_short_x", &key[1..], &key[..key.len() - 1], &format!("{key}x"), "dk_é23456789012_x"]
        {
            assert!(PresentedKey::parse(bad).is_none(), "{bad}");
        }
    }
}
