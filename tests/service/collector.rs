//! An OpenTelemetry collector that keeps the spans it is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Kinds and states by their numbers on the wire (opentelemetry/proto/trace/v1/trace.proto).
pub const INTERNAL: i32 = 1;
pub const SERVER: i32 = 2;
pub const CLIENT: i32 = 3;
pub const CONSUMER: i32 = 5;
pub const ERROR: i32 = 2;

/// The collector.
pub struct Collector {
    pub endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
        let kept = spans.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, kept.clone()));
            }
        });
        Self { endpoint, spans }
    }

    /// The first batch of the relay for `destination` that is linked to `cause`, once there is one.
    pub async fn batch(&self, destination: &str, cause: &Span) -> Span {
        let began = Instant::now();
        loop {
            let spans = self.spans.lock().clone();
            let mut batches = spans.iter().filter(|span| {
                span.name == "relay batch" && attribute(span, "messaging.destination.name") == destination
            });
            if let Some(span) = batches.find(|span| is_linked(span, &cause.trace_id, &cause.span_id)) {
                return span.clone();
            }
            assert!(
                began.elapsed() < Duration::from_secs(40),
                "no batch for {destination} is linked to {}",
                cause.name
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every trace of which anything came, in hexadecimal digits.
    pub fn traces(&self) -> BTreeSet<String> {
        self.spans.lock().iter().map(|span| hex::encode(&span.trace_id)).collect()
    }

    /// The spans of a trace, once `complete` says that all are there; each then leads to `root` over its parents.
    pub async fn trace(&self, trace: &str, root: &str, complete: impl Fn(&Trace) -> bool) -> Trace {
        let began = Instant::now();
        loop {
            let spans: Vec<Span> =
                self.spans.lock().iter().filter(|span| hex::encode(&span.trace_id) == trace).cloned().collect();
            let found = Trace { spans, root: root.to_owned() };
            let lost = found.spans.iter().find(|span| !found.leads_to_root(span));
            if lost.is_none() && complete(&found) {
                return found;
            }
            let names: Vec<&str> = found.spans.iter().map(|span| span.name.as_str()).collect();
            let lost = lost.map(|span| &span.name);
            assert!(began.elapsed() < Duration::from_secs(40), "after 40 s: {names:?}, without a way up: {lost:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether a span is linked to a place in another trace.
pub fn is_linked(span: &Span, trace: &[u8], place: &[u8]) -> bool {
    span.links.iter().any(|link| link.trace_id == trace && link.span_id == place)
}

/// The spans of one trace.
pub struct Trace {
    pub spans: Vec<Span>,
    root: String,
}

impl Trace {
    /// The first span of this name.
    pub fn find(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    pub fn named(&self, name: &str) -> &Span {
        self.find(name).unwrap_or_else(|| panic!("no span {name}"))
    }

    /// Whether a span stands below another.
    pub fn is_below(&self, span: &Span, above: &Span) -> bool {
        let parent = self.spans.iter().find(|other| other.span_id == span.parent_span_id);
        span.parent_span_id == above.span_id || parent.is_some_and(|parent| self.is_below(parent, above))
    }

    fn leads_to_root(&self, span: &Span) -> bool {
        let parent = self.spans.iter().find(|other| other.span_id == span.parent_span_id);
        hex::encode(&span.parent_span_id) == self.root || parent.is_some_and(|parent| self.leads_to_root(parent))
    }
}

/// An attribute as text, empty when it is absent.
pub fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == key);
    match found.and_then(|one| one.value.as_ref()).and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(Value::ArrayValue(list)) => {
            let texts = list.values.iter().map(|one| match &one.value {
                Some(Value::StringValue(text)) => text.as_str(),
                _ => "?",
            });
            format!("[{}]", texts.collect::<Vec<_>>().join(","))
        }
        _ => String::new(),
    }
}

/// The state of a span: 0 unset, 2 error.
pub fn status(span: &Span) -> i32 {
    span.status.as_ref().map_or(0, |status| status.code)
}

/// Takes one export after the other.
async fn take(mut stream: TcpStream, spans: Arc<Mutex<Vec<Span>>>) {
    let (mut buffer, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        if let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
            let whole = end + 4 + length.trim().parse::<usize>().unwrap();
            if buffer.len() >= whole {
                let export = ExportTraceServiceRequest::decode(&buffer[end + 4..whole]).unwrap();
                let scopes = export.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
                spans.lock().extend(scopes.flat_map(|scope| scope.spans));
                buffer.drain(..whole);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
                continue;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(read @ 1..) => buffer.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
}
