//! What OpenTelemetry's semantic conventions (v1.41) ask of a span: of an HTTP server's, of an HTTP client's, of a statement's, and
//! of a model's (generative AI, v1.41.1).

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::collector::{CLIENT, ERROR, SERVER, attribute, status};

/// Holds a span to exact attributes.
fn has(span: &Span, wanted: &[(&str, &str)]) {
    for (key, value) in wanted {
        assert_eq!(attribute(span, key), *value, "{key} of {}", span.name);
    }
}

/// Name, kind and status: an error has its class with it, everything else leaves the status alone.
fn is(span: &Span, name: &str, kind: i32, error: &str) {
    let wanted = if error.is_empty() { 0 } else { ERROR };
    let said = SpanKind::try_from(span.kind).map(|kind| kind.as_str_name());
    assert_eq!((span.name.as_str(), span.kind, status(span)), (name, kind, wanted), "{said:?}");
    has(span, &[("error.type", error)]);
}

/// A request to docket. An answer of the client's making (4xx) is no error of the server's.
pub fn is_request(span: &Span, method: &str, route: &str, path: &str, answer: u16) {
    let answer = answer.to_string();
    is(span, &format!("{method} {route}"), SERVER, if answer.starts_with('5') { &answer } else { "" });
    let said = [("http.request.method", method), ("http.route", route), ("http.response.status_code", &answer)];
    has(span, &said);
    has(span, &[("url.scheme", "http"), ("url.path", path)]);
}

/// A statement of one operation on one table.
pub fn is_statement(span: &Span, operation: &str, table: &str, error: &str) {
    is(span, &format!("{operation} {table}"), CLIENT, error);
    has(span, &[("db.system.name", "postgresql"), ("db.operation.name", operation), ("db.collection.name", table)]);
    has(span, &[("db.response.status_code", error), ("db.namespace", "docket")]);
}

/// A post to an endpoint, whose path is nobody else's business.
pub fn is_webhook(span: &Span, endpoint: &str, answer: u16, outcome: &str) {
    let endpoint = reqwest::Url::parse(endpoint).unwrap();
    let (host, port) = (endpoint.host_str().unwrap(), endpoint.port().unwrap().to_string());
    let answer = answer.to_string();
    is(span, "POST webhook", CLIENT, if answer.starts_with('2') { "" } else { &answer });
    let full = format!("http://{host}:{port}/REDACTED");
    has(span, &[("http.request.method", "POST"), ("http.response.status_code", &answer), ("url.full", &full)]);
    has(span, &[("server.address", host), ("server.port", &port), ("docket.delivery.outcome", outcome)]);
}

/// A call to a chat model that came to its end.
pub fn is_chat(span: &Span, provider: &str, model: &str, limit: u32) {
    is(span, &format!("chat {model}"), CLIENT, "");
    has(
        span,
        &[("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", provider), ("gen_ai.request.model", model)],
    );
    has(span, &[("gen_ai.request.max_tokens", &limit.to_string()), ("gen_ai.request.stream", "true")]);
    has(span, &[("gen_ai.response.finish_reasons", "[stop]")]);
    for used in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        let tokens: u64 = attribute(span, used).parse().unwrap_or_else(|_| panic!("{used} is no number"));
        assert!(tokens > 0, "{used}");
    }
    let first: f64 = attribute(span, "gen_ai.response.time_to_first_chunk").parse().unwrap();
    let took = span.end_time_unix_nano - span.start_time_unix_nano;
    #[allow(clippy::cast_precision_loss, reason = "nanoseconds of a test")]
    let took = took as f64 / 1e9;
    assert!(first > 0.0 && first <= took, "the first text after {first} s of {took} s");
}

/// Texts that became vectors in the process.
pub fn is_embeddings(span: &Span, dimensions: u32) {
    let model = attribute(span, "gen_ai.request.model");
    assert!(!model.is_empty());
    is(span, &format!("embeddings {model}"), super::collector::INTERNAL, "");
    has(span, &[("gen_ai.operation.name", "embeddings"), ("gen_ai.provider.name", "docket")]);
    has(span, &[("gen_ai.embeddings.dimension.count", &dimensions.to_string())]);
}
