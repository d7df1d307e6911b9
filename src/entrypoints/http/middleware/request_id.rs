//! Step 1: every request has an id that client, log, trace, audit trail and answer share.

use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::RequestContext;
use crate::application::ports::Clock;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id taken over from a client.
const LONGEST: usize = 64;

/// The client's id if it is 1 to 64 letters, digits or `-_.:` and sent once; otherwise a fresh UUIDv7.
pub(super) fn choose(headers: &HeaderMap, clock: &dyn Clock) -> String {
    let mut sent = headers.get_all(&X_REQUEST_ID).iter();
    match (sent.next(), sent.next()) {
        (Some(one), None) if is_valid(one.as_bytes()) => String::from_utf8_lossy(one.as_bytes()).into_owned(),
        _ => clock.new_id().to_string(),
    }
}

/// Narrower than visible ASCII, because the id goes into a URN, log lines and shell commands of operators.
fn is_valid(id: &[u8]) -> bool {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(harmless)
}

/// Sends the id back.
pub(super) fn answer(response: &mut Response, context: &RequestContext) {
    if let Ok(value) = HeaderValue::from_str(&context.request_id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
}
