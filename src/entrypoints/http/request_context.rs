//! The names a request goes by: its id and its trace, put into the request's extensions by the middleware.

use std::time::Instant;

/// Under what names this request is found in logs, traces and the audit trail.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The request id: the client's if it sent a usable one, a fresh one otherwise.
    pub request_id: String,
    /// The W3C trace id, 32 hexadecimal digits.
    pub trace_id: String,
    /// The traceparent to hand on to whoever reacts to what this request does.
    pub traceparent: Option<String>,
    /// When the request arrived.
    pub started: Instant,
}

impl Default for RequestContext {
    fn default() -> Self {
        Self { request_id: String::new(), trace_id: String::new(), traceparent: None, started: Instant::now() }
    }
}
