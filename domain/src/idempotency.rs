//! Idempotency: the key a client names an operation with, and the fingerprint that tells a retry from a different request.
//!
//! Source: IETF draft-ietf-httpapi-idempotency-key-header-07; fingerprint over RFC 8785 canonical JSON.

use sha2::{Digest, Sha256};

/// A client's name for one operation: 1 to 255 visible ASCII characters (0x21 to 0x7E).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// The key is empty, too long or holds something other than visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to 255 visible ASCII characters")]
pub struct MalformedKey;

impl IdempotencyKey {
    /// Parses the header's value. The draft writes keys as quoted strings; one pair of surrounding quotes is taken off.
    pub fn parse(value: &[u8]) -> Result<Self, MalformedKey> {
        let bare = match value {
            [b'"', inner @ .., b'"'] => inner,
            other => other,
        };
        if bare.is_empty() || bare.len() > 255 || !bare.iter().all(u8::is_ascii_graphic) {
            return Err(MalformedKey);
        }
        Ok(Self(String::from_utf8_lossy(bare).into_owned()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the key in hexadecimal: what the audit trail keeps instead of the key itself.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

/// What makes two requests the same request; hashed into a [`Fingerprint`].
#[derive(Debug, Clone, Copy)]
pub struct RequestShape<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The concrete path, which holds the route and its parameters.
    pub path: &'a str,
    /// The raw query; its pairs are sorted before hashing.
    pub query: &'a str,
    /// The content type as sent.
    pub content_type: &'a str,
    /// If-Match as sent, or empty.
    pub if_match: &'a str,
    /// The body: canonical JSON (RFC 8785) or the digest of the uploaded bytes.
    pub body: &'a [u8],
}

/// SHA-256 over a [`RequestShape`], 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Hashes the shape; every part is preceded by its length, so that no two shapes collide by shifting bytes between parts.
    pub fn of(shape: &RequestShape<'_>) -> Self {
        let mut pairs: Vec<&str> = shape.query.split('&').filter(|pair| !pair.is_empty()).collect();
        pairs.sort_unstable();
        let query = pairs.join("&");
        let mut hasher = Sha256::new();
        hasher.update(b"docket:request:v1");
        let parts = [shape.method, shape.path, &query, shape.content_type, shape.if_match];
        for part in parts.map(str::as_bytes).into_iter().chain([shape.body]) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: RequestShape<'static> = RequestShape {
        method: "POST",
        path: "/v1/cases",
        query: "b=2&a=1",
        content_type: "application/json",
        if_match: "",
        body: b"{}",
    };

    #[test]
    fn keys_are_visible_ascii_of_1_to_255_characters() {
        assert!(IdempotencyKey::parse(b"k").is_ok());
        assert!(IdempotencyKey::parse(&[b'k'; 255]).is_ok());
        assert_eq!(IdempotencyKey::parse(b"\"quoted\"").map(|key| key.as_str().to_owned()), Ok("quoted".to_owned()));
        for bad in [&b""[..], &[b'k'; 256], b"with space", b"tab\t", "caf\u{e9}".as_bytes(), b"\"\"", b"\x7f"] {
            assert_eq!(IdempotencyKey::parse(bad), Err(MalformedKey), "{bad:?}");
        }
    }

    #[test]
    fn the_audit_trail_gets_a_hash_of_the_key() {
        let key = IdempotencyKey::parse(b"abc").expect("valid");
        assert_eq!(key.hash(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_order_of_query_pairs_does_not_matter_and_everything_else_does() {
        let same = RequestShape { query: "a=1&b=2", ..SHAPE };
        assert_eq!(Fingerprint::of(&SHAPE), Fingerprint::of(&same));
        let others = [
            RequestShape { method: "PATCH", ..SHAPE },
            RequestShape { path: "/v1/cases/1", ..SHAPE },
            RequestShape { query: "a=1", ..SHAPE },
            RequestShape { content_type: "text/plain", ..SHAPE },
            RequestShape { if_match: "\"v1\"", ..SHAPE },
            RequestShape { body: b"[]", ..SHAPE },
        ];
        for other in others {
            assert_ne!(Fingerprint::of(&SHAPE), Fingerprint::of(&other), "{other:?}");
        }
    }

    #[test]
    fn bytes_moved_from_one_part_to_the_next_change_the_fingerprint() {
        let left = RequestShape { content_type: "ab", if_match: "c", ..SHAPE };
        let right = RequestShape { content_type: "a", if_match: "bc", ..SHAPE };
        assert_ne!(Fingerprint::of(&left), Fingerprint::of(&right));
    }
}
