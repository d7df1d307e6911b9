//! Step 2: continue the caller's trace (W3C Trace Context) or begin one, and open the server span.
//!
//! Span and attribute names follow the OpenTelemetry semantic conventions v1.41 for HTTP servers.

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use tracing::Span;
use tracing::field::Empty;

use super::{MatchedRoute, RequestContext};
use crate::telemetry::{SpanId, adopt, mark_failed};

/// Tells the client its trace (W3C Trace Context, level 2).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Opens the span of this request. A malformed `traceparent` is ignored, as the specification demands.
pub(super) fn begin(request: &Request, route: &MatchedRoute, request_id: String) -> (RequestContext, Span) {
    let method = super::access_log::known_method(request.method());
    let span = tracing::info_span!(
        "http.server.request",
        otel.name = format!("{method} {}", route.as_str()),
        otel.kind = "server",
        http.request.method = method,
        http.route = route.as_str(),
        url.path = request.uri().path(),
        url.scheme = "http",
        http.response.status_code = Empty,
        docket.request_id = request_id,
    );
    let place = adopt(&span, SpanId::extract(request.headers()));
    (RequestContext::new(request_id, place), span)
}

/// Completes the span and tells the client where its request is found.
pub(super) fn answer(response: &mut Response, context: &RequestContext) {
    let status = response.status();
    let span = Span::current();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        mark_failed(&span, status.as_str());
    }
    if let Some(Ok(value)) = context.traceparent.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
}
