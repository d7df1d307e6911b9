//! Step 9: every error leaves as `application/problem+json` (RFC 9457), also those of the framework.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::entrypoints::http::problem::{Problem, ProblemKind};

/// Turns the problem of `response`, or its bare error status, into a JSON document. Other headers stay, such as
/// `Allow` and `Retry-After`; an error that has a JSON body already (a stored answer that is replayed) is left alone.
pub(super) fn render(response: &mut Response, base_url: &str, request_id: &str) {
    let Some(problem) = response.extensions_mut().remove::<Problem>().or_else(|| bare_error(response)) else {
        return;
    };
    let body = problem.to_json(base_url, request_id).to_string();
    *response.status_mut() = problem.kind.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(header::CONTENT_LENGTH);
    if problem.kind == ProblemKind::Unauthenticated && !headers.contains_key(header::WWW_AUTHENTICATE) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"docket\""));
    }
    *response.body_mut() = Body::from(body);
}

fn bare_error(response: &Response) -> Option<Problem> {
    let kind = kind_of(response.status())?;
    let media_type = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_bare = media_type.is_none_or(|media_type| media_type.starts_with(b"text/plain"));
    is_bare.then(|| Problem::new(kind, kind.help()))
}

/// The kind for a status that axum or a layer sets by itself.
fn kind_of(status: StatusCode) -> Option<ProblemKind> {
    Some(match status {
        StatusCode::BAD_REQUEST => ProblemKind::MalformedRequest,
        StatusCode::UNAUTHORIZED => ProblemKind::Unauthenticated,
        StatusCode::FORBIDDEN => ProblemKind::Forbidden,
        StatusCode::NOT_FOUND => ProblemKind::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemKind::MethodNotAllowed,
        StatusCode::NOT_ACCEPTABLE => ProblemKind::NotAcceptable,
        StatusCode::REQUEST_TIMEOUT => ProblemKind::RequestTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::PayloadTooLarge,
        StatusCode::URI_TOO_LONG => ProblemKind::UriTooLong,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemKind::UnsupportedMediaType,
        StatusCode::UNPROCESSABLE_ENTITY => ProblemKind::ValidationFailed,
        StatusCode::TOO_MANY_REQUESTS => ProblemKind::TooManyRequests,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ProblemKind::HeadersTooLarge,
        StatusCode::INTERNAL_SERVER_ERROR => ProblemKind::Internal,
        StatusCode::SERVICE_UNAVAILABLE => ProblemKind::ServiceUnavailable,
        StatusCode::INSUFFICIENT_STORAGE => ProblemKind::InsufficientStorage,
        _ => return None,
    })
}
