//! What happens around every request, in one wrapper; each step is a file of its own.
//!
//! On the way in:
//! 1. [`request_id`]: the client's valid `X-Request-Id`, otherwise a fresh one.
//! 2. [`trace_context`]: continue the caller's trace or begin one; open the span; carry [`RequestContext`] in the task.
//! 3. [`access_log`] and metrics: begin to measure; a client that leaves is counted as 499.
//! 4. [`header_rules`]: repeated, conflicting or oversized headers, over-long URIs are refused.
//! 5. [`in_flight`]: too many requests at once are shed (health and metrics excepted).
//! 6. [`body_limit`]: the body's size before and after decompression; gzip only.
//! 7. [`deadline`]: time until the head of the answer.
//! 8. [`panics`]: a panic of the handler becomes a 500 problem.
//!
//! On the way out:
//!
//! 9. [`render_problems`]: problems, and bare errors of the framework, become `application/problem+json`.
//! 10. [`secure_headers`], then `X-Request-Id` and `traceresponse`.
//! 11. [`access_log`] and metrics: one line, one observation.
//!
//! One wrapper rather than a stack of layers: a layer costs three allocations a request, a function call none.

mod access_log;
mod body_limit;
mod client_address;
mod deadline;
mod header_rules;
mod in_flight;
mod panics;
mod render_problems;
mod request_id;
mod secure_headers;
mod trace_context;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

pub use client_address::ClientAddress;

use crate::application::ports::Clock;
use crate::config::{Config, Network};
pub use crate::telemetry::RequestContext;
use crate::telemetry::scope;

/// What the steps need to know.
#[derive(Debug, Clone)]
pub struct ShellSettings {
    /// Base URL for problem types, without a trailing slash.
    pub public_url: String,
    /// Time until the head of the answer.
    pub request_timeout: Duration,
    /// The same for uploads.
    pub upload_timeout: Duration,
    /// The same for answers from documents.
    pub answer_timeout: Duration,
    /// Requests at once.
    pub max_in_flight: usize,
    /// Largest body, in bytes, before and after decompression.
    pub max_body_bytes: usize,
    /// The same for uploads.
    pub max_upload_bytes: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// What an answer has beyond its own time, to be stored, or to say that it was not ready.
const BESIDE_THE_ANSWER: Duration = Duration::from_secs(5);

impl From<&Config> for ShellSettings {
    fn from(config: &Config) -> Self {
        let server = &config.server;
        let request_timeout = Duration::from_millis(server.request_timeout_ms);
        let answering = Duration::from_secs(config.answers.timeout_seconds);
        Self {
            public_url: config.public_url(),
            request_timeout,
            answer_timeout: request_timeout.max(answering + BESIDE_THE_ANSWER),
            upload_timeout: Duration::from_millis(server.upload_timeout_ms),
            max_in_flight: server.max_in_flight,
            max_body_bytes: server.max_body_bytes,
            max_upload_bytes: server.max_upload_bytes,
            trusted_proxies: server.trusted_proxies.clone(),
        }
    }
}

/// The state of the wrapper.
#[derive(Clone)]
pub struct Shell(Arc<Parts>);

struct Parts {
    settings: ShellSettings,
    clock: Arc<dyn Clock>,
    in_flight: in_flight::InFlight,
    observations: access_log::Observations,
    secure_headers: secure_headers::SecureHeaders,
}

impl Shell {
    /// A wrapper that takes request ids from `clock`.
    pub fn new(settings: ShellSettings, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts {
            in_flight: in_flight::InFlight::new(settings.max_in_flight),
            observations: access_log::Observations::default(),
            secure_headers: secure_headers::SecureHeaders::new(settings.public_url.starts_with("https://")),
            settings,
            clock,
        }))
    }
}

/// Puts every route of `router`, and its 404, into the wrapper.
pub fn wrap(router: Router, shell: Shell) -> Router {
    router.layer(axum::middleware::from_fn_with_state(shell, pass))
}

/// The template that matched, never the path itself: metrics need a bounded set.
fn route_of(request: &Request) -> MatchedRoute {
    MatchedRoute(request.extensions().get::<MatchedPath>().cloned())
}

/// The matched template or `unmatched`.
struct MatchedRoute(Option<MatchedPath>);

impl MatchedRoute {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    /// Operators' routes, which must answer also under overload and are not worth a log line each.
    fn is_operational(&self) -> bool {
        matches!(self.as_str(), "/healthz" | "/readyz" | "/startupz" | "/metrics")
    }

    /// Whether it asks for an answer from documents, which has a time of its own.
    fn is_answer(&self) -> bool {
        self.as_str() == "/v1/answers"
    }

    /// Whether the body is a file, which may be large and is streamed. A document may also be named by a URL, in JSON of
    /// ordinary size.
    fn is_upload(&self, request: &Request) -> bool {
        let media_type = || request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        match self.as_str() {
            "/v1/cases/{id}/evidence" => true,
            "/v1/documents" => media_type().get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case(b"multipart/")),
            _ => false,
        }
    }
}

async fn pass(State(Shell(parts)): State<Shell>, mut request: Request, next: Next) -> Response {
    let route = route_of(&request);
    let request_id = request_id::choose(request.headers(), parts.clock.as_ref());
    let (context, span) = trace_context::begin(&request, &route, request_id);
    let address = client_address::of(&request, &parts.settings.trusted_proxies);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(context.clone());
    let context = Arc::new(context);
    let work = async {
        let record = access_log::Record::begin(&parts.observations, &request, &route, &context);
        let path_class = secure_headers::PathClass::of(request.uri().path());
        let mut response = guarded(&parts, request, &route, next).await;
        render_problems::render(&mut response, &parts.settings.public_url, &context.request_id);
        parts.secure_headers.add(response.headers_mut(), path_class);
        request_id::answer(&mut response, &context);
        trace_context::answer(&mut response, &context);
        record.finish(response.status());
        response
    };
    scope(context.clone(), work.instrument(span)).await
}

/// Steps 4 to 8.
async fn guarded(parts: &Parts, request: Request, route: &MatchedRoute, next: Next) -> Response {
    if let Err(problem) = header_rules::check(&request) {
        return problem.into_response();
    }
    let _permit = match parts.in_flight.admit(route.is_operational()) {
        Ok(permit) => permit,
        Err(problem) => return problem.into_response(),
    };
    let settings = &parts.settings;
    let (limit, time) = if route.is_upload(&request) {
        (settings.max_upload_bytes, settings.upload_timeout)
    } else if route.is_answer() {
        (settings.max_body_bytes, settings.answer_timeout)
    } else {
        (settings.max_body_bytes, settings.request_timeout)
    };
    let (request, received) = match body_limit::apply(request, limit) {
        Ok(limited) => limited,
        Err(problem) => return problem.into_response(),
    };
    // Pinned where they are: passed on by value, each step would move all steps within it.
    let work = pin!(body_limit::run(request, limit, next));
    let handled = pin!(panics::caught(work, route.as_str()));
    deadline::within(time, &received, handled).await
}
