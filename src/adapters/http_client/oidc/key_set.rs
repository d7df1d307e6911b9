//! The issuer's published keys (RFC 7517): which of them may verify which token.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;

/// Most keys of a set.
const MOST_KEYS: usize = 200;
/// Smallest and largest RSA modulus, in bytes: 2048 bits (RFC 7518, section 3.3) and what the library takes.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Longest RSA exponent, in bytes.
const EXPONENT_BYTES: usize = 4;

/// What a key is, which fixes what it can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Kind {
    fn suits(self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Self::P256 => algorithm == Algorithm::ES256,
            Self::P384 => algorithm == Algorithm::ES384,
            Self::Ed25519 => algorithm == Algorithm::EdDSA,
        }
    }
}

/// One key.
struct PublishedKey {
    id: Option<String>,
    kind: Kind,
    /// The only algorithm that the issuer uses it with, when it says so.
    algorithm: Option<Algorithm>,
    key: Arc<DecodingKey>,
}

/// The usable keys of a set.
pub(super) struct KeySet(Vec<PublishedKey>);

impl KeySet {
    /// Reads a set; keys that are not for signatures, are too weak or are not understood are left out. None if it is no set.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(bytes).ok()?;
        let keys = document["keys"].as_array().filter(|keys| keys.len() <= MOST_KEYS)?;
        let usable: Vec<_> = keys.iter().filter_map(published).collect();
        if usable.len() < keys.len() {
            tracing::debug!(
                published = keys.len(),
                usable = usable.len(),
                "some of the issuer's keys are not usable here"
            );
        }
        Some(Self(usable))
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of this id for this algorithm. A token without an id can only mean the single key that suits it.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<DecodingKey>> {
        let suits = |key: &&PublishedKey| {
            key.kind.suits(algorithm)
                && key.algorithm.is_none_or(|declared| declared == algorithm)
                && (id.is_none() || key.id.as_deref() == id)
        };
        let mut fitting = self.0.iter().filter(suits);
        let first = fitting.next()?;
        (id.is_some() || fitting.next().is_none()).then(|| first.key.clone())
    }
}

fn published(jwk: &Value) -> Option<PublishedKey> {
    let text = |name: &str| jwk[name].as_str();
    let for_signatures = jwk.get("use").is_none_or(|value| value == "sig");
    let may_verify = jwk
        .get("key_ops")
        .is_none_or(|ops| ops.as_array().is_some_and(|ops| ops.iter().any(|operation| operation == "verify")));
    // A set with private parts in it is out of anybody's control.
    if !for_signatures || !may_verify || jwk.get("d").is_some() {
        return None;
    }
    let algorithm = match jwk.get("alg") {
        None => None,
        // The name of RFC 9864 for the one curve that is supported here.
        Some(name) if name == "Ed25519" => Some(Algorithm::EdDSA),
        Some(name) => Some(name.as_str()?.parse().ok()?),
    };
    let (kind, key) = match (text("kty")?, text("crv")) {
        ("RSA", _) => (Kind::Rsa, rsa(text("n")?, text("e")?)?),
        ("EC", Some("P-256")) => (Kind::P256, elliptic(text("x")?, text("y")?, 32)?),
        ("EC", Some("P-384")) => (Kind::P384, elliptic(text("x")?, text("y")?, 48)?),
        ("OKP", Some("Ed25519")) => (Kind::Ed25519, edwards(text("x")?)?),
        _ => return None,
    };
    let id = match jwk.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    Some(PublishedKey { id, kind, algorithm, key: Arc::new(key) })
}

fn rsa(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let decode = |text| URL_SAFE_NO_PAD.decode(text).ok();
    let (modulus, exponent) = (decode(modulus)?, decode(exponent)?);
    // Some issuers write a leading zero.
    let modulus = modulus.strip_prefix(&[0]).unwrap_or(&modulus);
    let exponent = &exponent[exponent.iter().position(|byte| *byte != 0)?..];
    let large_enough = RSA_BYTES.contains(&modulus.len()) && modulus.first().is_some_and(|byte| *byte >= 0x80);
    // An exponent of one would make every message its own signature.
    let one_or_even = exponent == [1] || exponent.last().is_some_and(|byte| byte % 2 == 0);
    let sound = large_enough && exponent.len() <= EXPONENT_BYTES && !one_or_even;
    sound.then(|| DecodingKey::from_rsa_raw_components(modulus, exponent))
}

fn elliptic(x: &str, y: &str, bytes: usize) -> Option<DecodingKey> {
    let fits = |text| URL_SAFE_NO_PAD.decode(text).is_ok_and(|decoded| decoded.len() == bytes);
    if fits(x) && fits(y) { DecodingKey::from_ec_components(x, y).ok() } else { None }
}

fn edwards(x: &str) -> Option<DecodingKey> {
    let fits = URL_SAFE_NO_PAD.decode(x).is_ok_and(|decoded| decoded.len() == 32);
    if fits { DecodingKey::from_ed_components(x).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn b64(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn rsa_key(id: &str, bytes: usize, exponent: &[u8]) -> Value {
        json!({"kty": "RSA", "kid": id, "n": b64(&vec![0xc1; bytes]), "e": b64(exponent)})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn usable(key: &Value) -> bool {
        KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap().len() == 1
    }

    #[test]
    fn only_sound_public_signature_keys_are_used() {
        let good = rsa_key("a", 256, &[1, 0, 1]);
        assert!(usable(&good));
        assert!(usable(&with(good.clone(), "use", json!("sig"))));
        assert!(!usable(&with(good.clone(), "use", json!("enc"))));
        assert!(!usable(&with(good.clone(), "key_ops", json!(["encrypt"]))));
        assert!(!usable(&with(good.clone(), "alg", json!("RSA-OAEP"))));
        assert!(!usable(&with(good.clone(), "d", json!("AQ"))));
        assert!(!usable(&with(good.clone(), "kid", json!(1))));
        assert!(!usable(&rsa_key("a", 128, &[1, 0, 1])), "1024 bits");
        assert!(!usable(&rsa_key("a", 256, &[1])) && !usable(&rsa_key("a", 256, &[0, 0, 1])), "exponent 1");
        assert!(!usable(&rsa_key("a", 256, &[2])) && !usable(&rsa_key("a", 256, &[])), "no exponent at all");
        assert!(!usable(&json!({"kty": "oct", "k": b64(&[1; 32])})), "a shared secret");
        assert!(!usable(&json!({"kty": "EC", "crv": "P-256", "x": b64(&[1; 31]), "y": b64(&[1; 32])})));
        assert!(!usable(&json!({"kty": "EC", "crv": "secp256k1", "x": b64(&[1; 32]), "y": b64(&[1; 32])})));
        assert!(usable(&json!({"kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "x": b64(&[1; 32])})));
    }

    #[test]
    fn a_key_verifies_with_its_own_kind_of_algorithm_only() {
        let keys = json!({"keys": [
            rsa_key("r", 256, &[1, 0, 1]),
            with(rsa_key("ps", 256, &[1, 0, 1]), "alg", json!("PS256")),
            {"kty": "EC", "crv": "P-256", "kid": "e", "x": b64(&[1; 32]), "y": b64(&[1; 32])},
        ]});
        let set = KeySet::parse(keys.to_string().as_bytes()).unwrap();
        let finds = |id, algorithm| set.find(id, algorithm).is_some();
        assert!(finds(Some("r"), Algorithm::RS256) && finds(Some("r"), Algorithm::PS256));
        assert!(!finds(Some("ps"), Algorithm::RS256) && finds(Some("ps"), Algorithm::PS256));
        assert!(finds(Some("e"), Algorithm::ES256) && !finds(Some("e"), Algorithm::RS256));
        assert!(!finds(Some("r"), Algorithm::HS256) && !finds(Some("x"), Algorithm::RS256));
        assert!(finds(None, Algorithm::ES256), "the only one that suits");
        assert!(!finds(None, Algorithm::PS256), "two that suit");
    }

    #[test]
    fn what_is_no_set_is_none() {
        for bad in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
            assert!(KeySet::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        let many = json!({"keys": vec![json!({}); MOST_KEYS + 1]}).to_string();
        assert!(KeySet::parse(many.as_bytes()).is_none());
        assert_eq!(KeySet::parse(br#"{"keys": [1, null, {"kty": 7}]}"#).unwrap().len(), 0);
    }
}
