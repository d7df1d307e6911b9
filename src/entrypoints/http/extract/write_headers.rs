//! The headers of a write: Idempotency-Key, If-Match, and the request's shape for the fingerprint.

use axum::extract::FromRequestParts;
use docket_domain::idempotency::{Fingerprint, IdempotencyKey, RequestShape};
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use crate::application::request::{Claim, IfMatch};
use crate::entrypoints::http::problem::{Problem, ProblemKind};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a write's headers say.
#[derive(Debug, Clone)]
pub struct WriteHeaders {
    key: Option<IdempotencyKey>,
    method: Method,
    uri: Uri,
    content_type: String,
    if_match_raw: String,
    /// The version the client saw.
    pub if_match: IfMatch,
}

impl<S: Send + Sync> FromRequestParts<S> for WriteHeaders {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let if_match_raw = text(IF_MATCH);
        Ok(Self {
            key: idempotency_key(&parts.headers)?,
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            content_type: text(CONTENT_TYPE),
            if_match: parse_if_match(&if_match_raw),
            if_match_raw,
        })
    }
}

impl WriteHeaders {
    /// The claim under the key, if one was sent; `body` is the canonical JSON or the digest of the uploaded bytes.
    pub fn claim(&self, body: &[u8]) -> Option<Claim> {
        let key = self.key.clone()?;
        // A multipart boundary is random: two sends of the same upload differ in it and in nothing else.
        let content_type = self.content_type.split(';').next().unwrap_or_default().trim();
        let shape = RequestShape {
            method: self.method.as_str(),
            path: self.uri.path(),
            query: self.uri.query().unwrap_or_default(),
            content_type,
            if_match: &self.if_match_raw,
            body,
        };
        Some(Claim { key, fingerprint: Fingerprint::of(&shape) })
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(ProblemKind::IdempotencyKeyMalformed, "the Idempotency-Key header was sent twice"));
    }
    IdempotencyKey::parse(first.as_bytes())
        .map(Some)
        .map_err(|error| Problem::new(ProblemKind::IdempotencyKeyMalformed, error.to_string()))
}

/// Reads If-Match. `*` and weak tags count as "did not say": they name no version that could be compared strongly.
pub fn parse_if_match(header: &str) -> IfMatch {
    let mut foreign = false;
    for tag in header.split(',').map(str::trim).filter(|tag| !tag.is_empty() && *tag != "*" && !tag.starts_with("W/")) {
        let version = tag.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
        let canonical =
            version.filter(|digits| !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()));
        match canonical.and_then(|digits| digits.parse().ok()) {
            Some(version) => return IfMatch::Version(version),
            None => foreign = true,
        }
    }
    if foreign { IfMatch::Foreign } else { IfMatch::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_reads_strong_tags_of_this_service_only() {
        assert_eq!(parse_if_match("\"v3\""), IfMatch::Version(3));
        assert_eq!(parse_if_match("W/\"v3\", \"v4\""), IfMatch::Version(4));
        for absent in ["", "*", "W/\"v3\""] {
            assert_eq!(parse_if_match(absent), IfMatch::Absent, "{absent}");
        }
        for foreign in ["\"3\"", "v3", "\"v03\"", "\"v-1\"", "\"v99999999999999999999999\"", "\"v+3\"", "\"v\""] {
            assert_eq!(parse_if_match(foreign), IfMatch::Foreign, "{foreign}");
        }
    }
}
