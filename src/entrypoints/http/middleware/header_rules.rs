//! Step 4: headers that could be read in two ways are refused, and so are heads that are too large.

use axum::extract::Request;
use http::{HeaderName, Version, header};

use crate::entrypoints::http::problem::{Problem, ProblemKind};

/// Longest path and query, in bytes; a signed cursor and a full filter fit twice.
const LONGEST_URI: usize = 8 * 1024;
/// Largest sum of header names and values, in bytes.
const LARGEST_HEAD: usize = 32 * 1024;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Headers that change what a request means: two of them, even equal ones, are an attempt to be read differently by
/// two servers in a row (request smuggling), or a bug.
const ONCE: [HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::IF_MATCH,
];

/// Refuses heads that are too large, repeated or contradict themselves.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let uri = request.uri();
    if uri.path().len() + uri.query().map_or(0, str::len) > LONGEST_URI {
        let detail = format!("Path and query may have {LONGEST_URI} bytes.");
        return Err(Problem::new(ProblemKind::UriTooLong, detail));
    }
    let head: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if head > LARGEST_HEAD {
        let detail = format!("All headers together may have {LARGEST_HEAD} bytes.");
        return Err(Problem::new(ProblemKind::HeadersTooLarge, detail));
    }
    let repeated = |name: &HeaderName| headers.get_all(name).iter().nth(1).is_some();
    let malformed = |detail: String| Err(Problem::new(ProblemKind::MalformedRequest, detail));
    if let Some(name) = ONCE.iter().find(|name| repeated(name)) {
        return malformed(format!("The header {name} was sent more than once."));
    }
    if repeated(&IDEMPOTENCY_KEY) {
        let detail = "The header idempotency-key was sent more than once.";
        return Err(Problem::new(ProblemKind::IdempotencyKeyMalformed, detail));
    }
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        return malformed("Content-Length and Transfer-Encoding contradict each other.".to_owned());
    }
    if request.version() == Version::HTTP_11 && !headers.contains_key(header::HOST) && uri.host().is_none() {
        return malformed("HTTP/1.1 requires the header Host.".to_owned());
    }
    Ok(())
}
