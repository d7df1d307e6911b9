//! Who a piece of work belongs to: request id and W3C trace context, carried by the task so that every log line,
//! audit row, event and outgoing call can name them.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The W3C header that names the caller's span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span's place in a trace (W3C Trace Context, level 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId {
    /// The trace, never zero.
    pub trace_id: u128,
    /// The span within it, never zero.
    pub span_id: u64,
    /// Whether the caller records this trace.
    pub sampled: bool,
}

impl SpanId {
    /// The first span of a new trace.
    pub fn random(sampled: bool) -> Self {
        Self { trace_id: rand::random_range(1..=u128::MAX), span_id: random_span(), sampled }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span_id: random_span(), ..self }
    }

    /// Reads a `traceparent` value; `None` if it breaks the specification in any way, which means: start a new trace.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let lowercase_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !text.is_ascii() || bytes.len() < 55 || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
            return None;
        }
        let (version, trace, span, flags) = (&text[..2], &text[3..35], &text[36..52], &text[53..55]);
        // Version 00 ends here; later versions may go on after a dash; ff is forbidden.
        let ends_well = bytes.len() == 55 || (version != "00" && bytes[55] == b'-');
        if !ends_well || version == "ff" || ![version, trace, span, flags].into_iter().all(lowercase_hex) {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1 })
    }

    /// Reads the `traceparent` header; a repeated header counts as malformed.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let first = values.next()?;
        if values.next().is_some() { None } else { Self::parse(first.to_str().ok()?) }
    }

    /// Sets the `traceparent` header of an outgoing call.
    pub fn inject(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
    }
}

fn random_span() -> u64 {
    rand::random_range(1..=u64::MAX)
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

/// Who is asking, known once the request is authenticated; for the access log only, never for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The tenant.
    pub tenant: String,
    /// The principal within it.
    pub principal: String,
}

/// One request (or job) on its way through the service. A request extension and a task-local at the same time.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The client's valid `X-Request-Id`, otherwise a fresh UUIDv7.
    pub request_id: String,
    /// The trace, 32 lowercase hexadecimal digits.
    pub trace_id: String,
    /// What to send as `traceparent` to whatever this work causes.
    pub traceparent: Option<String>,
    /// When the work began.
    pub started: Instant,
    span_id: String,
    identity: Arc<OnceLock<Identity>>,
}

impl Default for RequestContext {
    /// Work that nobody asked for under a name: empty ids, begun now.
    fn default() -> Self {
        Self {
            request_id: String::new(),
            trace_id: String::new(),
            traceparent: None,
            started: Instant::now(),
            span_id: String::new(),
            identity: Arc::default(),
        }
    }
}

impl RequestContext {
    /// The context of work done under `span`.
    pub fn new(request_id: String, span: SpanId) -> Self {
        let traceparent = span.to_string();
        Self {
            request_id,
            trace_id: traceparent[3..35].to_owned(),
            span_id: traceparent[36..52].to_owned(),
            traceparent: Some(traceparent),
            started: Instant::now(),
            identity: Arc::default(),
        }
    }

    /// The span, 16 lowercase hexadecimal digits.
    pub fn span_id(&self) -> &str {
        &self.span_id
    }

    /// Remembers who is asking; the first call wins.
    pub fn identify(&self, tenant: impl Into<String>, principal: impl Into<String>) {
        let _ = self.identity.set(Identity { tenant: tenant.into(), principal: principal.into() });
    }

    /// Who is asking, if already known.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }
}

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

/// Runs `work` so that everything logged or sent within it names `context`.
pub fn scope<F: Future>(context: Arc<RequestContext>, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(context, work)
}

/// [`scope`] for something that does not wait.
pub fn within<R>(context: Arc<RequestContext>, act: impl FnOnce() -> R) -> R {
    CURRENT.sync_scope(context, act)
}

/// The context of the running task. A task spawned by it starts without one: wrap it in [`scope`] again.
pub fn current() -> Option<Arc<RequestContext>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Calls `look` with the context of the running task without cloning it.
pub(super) fn with_current<R>(look: impl FnOnce(&RequestContext) -> R) -> Option<R> {
    CURRENT.try_with(|context| look(context)).ok()
}

/// Sets the `traceparent` of an outgoing call to the running task's span, if there is one.
pub fn inject_current(headers: &mut HeaderMap) {
    let value =
        with_current(|context| context.traceparent.as_deref().and_then(|text| HeaderValue::from_str(text).ok()));
    if let Some(Some(value)) = value {
        headers.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_traceparent_survives_the_round_trip() {
        let span = SpanId::parse(GOOD).unwrap();
        assert_eq!(span.to_string(), GOOD);
        assert_eq!(span.child().trace_id, span.trace_id);
        let mut headers = HeaderMap::new();
        span.inject(&mut headers);
        assert_eq!(SpanId::extract(&headers), Some(span));
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(SpanId::extract(&headers), None, "a repeated header is malformed");
    }

    #[test]
    fn a_malformed_traceparent_is_no_traceparent() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        for text in
            ["", "00", zero_trace, zero_span, &GOOD.to_uppercase(), &GOOD.replacen("00", "ff", 1), &format!("{GOOD}-x")]
        {
            assert_eq!(SpanId::parse(text), None, "{text}");
        }
        assert!(
            SpanId::parse(&format!("{}-more", GOOD.replacen("00", "01", 1))).is_some(),
            "a future version may go on"
        );
    }

    #[tokio::test]
    async fn work_in_a_scope_sees_its_context() {
        let context = Arc::new(RequestContext::new("r1".to_owned(), SpanId::parse(GOOD).unwrap()));
        let seen = scope(context, async { current().map(|context| context.trace_id.clone()) }).await;
        assert_eq!(seen.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert!(current().is_none());
    }
}
