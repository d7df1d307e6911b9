//! The form of a token (RFC 7515, compact serialisation) and what its header may say; nothing is believed yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::strict_json;

/// Longest token, in bytes.
const LONGEST: usize = 16 * 1024;
/// Longest key id, in bytes.
const LONGEST_KEY_ID: usize = 256;

const MALFORMED: &str = "the token is not a signed JWT in compact form";
const WRONG_ALGORITHM: &str = "the token's algorithm is not accepted";
const WRONG_TYPE: &str = "the token is not of a type that is accepted";
const OWN_KEY: &str = "the token brings its own key";
const EXTENSION: &str = "the token's header asks for an extension that is not supported";

/// Headers with which a token would choose the key that verifies it.
const KEYS_OF_ITS_OWN: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];
/// Headers of encryption, compression and critical extensions: none is understood here, so none may be passed over.
const EXTENSIONS: [&str; 5] = ["crit", "b64", "zip", "enc", "epk"];

/// What is accepted in a header.
#[derive(Debug, Clone)]
pub(super) struct HeaderPolicy {
    /// The configured algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The configured types, as they were written.
    pub types: Vec<String>,
}

/// A token taken apart, its signature not verified.
#[derive(Debug)]
pub(super) struct UnverifiedToken<'a> {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    /// What the signature is over.
    pub signed: &'a [u8],
    /// The signature in base64url.
    pub signature: &'a str,
    /// The claims: an object.
    pub claims: Value,
}

/// Takes a token apart.
pub(super) fn parse<'a>(token: &'a str, policy: &HeaderPolicy) -> Result<UnverifiedToken<'a>, &'static str> {
    if token.len() > LONGEST {
        return Err("the token is too long");
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
    let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
    let header = part(header)?;
    // An unsigned token ends in an empty part: it is judged by its algorithm.
    let (algorithm, key_id) = read_header(&header, policy)?;
    if signature.is_empty() || URL_SAFE_NO_PAD.decode(signature).is_err() {
        return Err(MALFORMED);
    }
    Ok(UnverifiedToken { algorithm, key_id, signed: signed.as_bytes(), signature, claims: part(claims)? })
}

/// A part between dots; base64 that is not exact (padding, stray bits, other alphabets) is refused.
fn part(text: &str) -> Result<Value, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MALFORMED)?;
    strict_json::object(&bytes).ok_or(MALFORMED)
}

fn read_header(header: &Value, policy: &HeaderPolicy) -> Result<(Algorithm, Option<String>), &'static str> {
    let has = |names: &[&str]| names.iter().any(|name| header.get(name).is_some());
    let named = header["alg"].as_str().ok_or(WRONG_ALGORITHM)?;
    let algorithm = named.parse::<Algorithm>().map_err(|_| WRONG_ALGORITHM)?;
    if !policy.algorithms.contains(&algorithm) {
        return Err(WRONG_ALGORITHM);
    }
    if has(&KEYS_OF_ITS_OWN) {
        return Err(OWN_KEY);
    }
    if has(&EXTENSIONS) {
        return Err(EXTENSION);
    }
    if header.get("cty").is_some() {
        return Err(WRONG_TYPE);
    }
    let media_type = match header.get("typ") {
        None => "JWT",
        Some(value) => value.as_str().ok_or(WRONG_TYPE)?,
    };
    // RFC 7515, section 4.1.9: the prefix may be left out, and case does not matter.
    let media_type = media_type.to_ascii_lowercase();
    let media_type = media_type.strip_prefix("application/").unwrap_or(&media_type);
    if !policy.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(media_type)) {
        return Err(WRONG_TYPE);
    }
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= LONGEST_KEY_ID => Some(id.clone()),
        Some(_) => return Err(MALFORMED),
    };
    Ok((algorithm, key_id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(types: &[&str]) -> HeaderPolicy {
        let types = types.iter().map(|name| (*name).to_owned()).collect();
        HeaderPolicy { algorithms: vec![Algorithm::ES256, Algorithm::EdDSA], types }
    }

    fn token(header: &Value) -> String {
        let part = |text: String| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", part(header.to_string()), part("{}".to_owned()), part("signature".to_owned()))
    }

    fn verdict(header: &Value) -> Option<&'static str> {
        parse(&token(header), &policy(&["at+jwt", "JWT"])).err()
    }

    #[test]
    fn the_configuration_chooses_the_algorithm_and_not_the_token() {
        assert_eq!(verdict(&json!({"alg": "ES256", "kid": "a"})), None);
        for bad in [json!("none"), json!("None"), json!("HS256"), json!("RS256"), json!("es256"), json!(7), json!(null)]
        {
            assert_eq!(verdict(&json!({"alg": bad})), Some(WRONG_ALGORITHM), "{bad}");
        }
    }

    #[test]
    fn keys_extensions_and_other_kinds_of_tokens_are_refused() {
        for name in KEYS_OF_ITS_OWN {
            assert_eq!(verdict(&json!({"alg": "ES256", name: "x"})), Some(OWN_KEY), "{name}");
        }
        for name in EXTENSIONS {
            assert_eq!(verdict(&json!({"alg": "ES256", name: []})), Some(EXTENSION), "{name}");
        }
        assert_eq!(verdict(&json!({"alg": "ES256", "cty": "JWT"})), Some(WRONG_TYPE));
        for (kind, fine) in [
            (json!("at+JWT"), true),
            (json!("application/at+jwt"), true),
            (json!("logout+jwt"), false),
            (json!(1), false),
        ] {
            assert_eq!(verdict(&json!({"alg": "ES256", "typ": kind})).is_none(), fine, "{kind}");
        }
        let strict = policy(&["at+jwt"]);
        assert_eq!(parse(&token(&json!({"alg": "ES256"})), &strict).err(), Some(WRONG_TYPE), "no type says JWT");
        assert_eq!(verdict(&json!({"alg": "ES256", "kid": ["a"]})), Some(MALFORMED));
        assert_eq!(verdict(&json!({"alg": "ES256", "kid": "k".repeat(257)})), Some(MALFORMED));
    }

    #[test]
    fn a_token_has_exactly_three_exact_parts() {
        let good = token(&json!({"alg": "ES256"}));
        assert!(parse(&good, &policy(&["JWT"])).is_ok());
        let bad = [
            String::new(),
            "..".to_owned(),
            good.replace('.', ""),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.{good}"),
            format!("{good}="),
            format!("{good} "),
            good.rsplit_once('.').unwrap().0.to_owned() + ".",
            "a".repeat(LONGEST + 1),
        ];
        for bad in bad {
            assert!(parse(&bad, &policy(&["JWT"])).is_err(), "{bad:.60}");
        }
    }
}
