//! Traces to an OpenTelemetry collector: batched in the background, dropped when the collector does not keep up.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, Status, TraceContextExt, TraceFlags, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::context::SpanId;
use super::database_spans::{WithDestination, destination};
use crate::config::Telemetry;

/// Links of one span; the specification's own default, beyond which the exporter drops them.
const LINKS: usize = 128;
/// Spans that wait for the exporter at most; more are dropped, so that a dead collector costs no memory and no time.
const QUEUE_SPANS: usize = 4_096;

/// The pipeline to the collector at `endpoint`. Must run outside of an async runtime: the exporter brings its own thread.
pub(super) fn provider(
    settings: &Telemetry,
    endpoint: &str,
    database_url: Option<&str>,
) -> Result<SdkTracerProvider, opentelemetry_otlp::ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_timeout(Duration::from_millis(settings.export_timeout_ms))
        .build()?;
    let exporter = WithDestination { inner: exporter, destination: destination(database_url) };
    let batches =
        BatchConfigBuilder::default().with_max_queue_size(QUEUE_SPANS).with_scheduled_delay(Duration::from_secs(1));
    let resource = Resource::builder()
        .with_service_name(settings.service_name.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build())
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sample_ratio))))
        .with_resource(resource)
        .build())
}

/// Ties `span` to the caller's `parent` and returns its place in the trace. Without an exporter the span is disabled,
/// and the place is made up on the spot, so that logs, audit rows and answers always carry one.
pub fn adopt(span: &tracing::Span, parent: Option<SpanId>) -> SpanId {
    let made_up = || parent.map_or_else(|| SpanId::random(false), SpanId::child);
    if span.is_disabled() {
        return made_up();
    }
    if let Some(parent) = parent {
        let remote = remote(parent);
        // Refused only when the span has begun already; then it keeps the trace that it has.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
    let context = span.context();
    let place = context.span().span_context().clone();
    if !place.is_valid() {
        return made_up();
    }
    SpanId {
        trace_id: u128::from_be_bytes(place.trace_id().to_bytes()),
        span_id: u64::from_be_bytes(place.span_id().to_bytes()),
        sampled: place.is_sampled(),
    }
}

fn remote(place: SpanId) -> SpanContext {
    let flags = if place.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    SpanContext::new(place.trace_id.into(), place.span_id.into(), flags, true, TraceState::default())
}

/// What `span` stands for failed: its status, and the class of the failure (`error.type`), one of a few words or codes. Needs no
/// field declared at the span.
pub fn mark_failed(span: &tracing::Span, class: impl Into<String>) {
    if span.is_disabled() {
        return;
    }
    span.set_attribute("error.type", class.into());
    span.set_status(Status::error(""));
}

/// The statement that the running task is in failed, if it is in the span of one: with the database's own code for it (SQLSTATE)
/// where it gave one.
pub fn statement_failed(code: Option<String>, class: &'static str) {
    let span = tracing::Span::current();
    if !span.has_field("db.system.name") {
        return;
    }
    if let Some(code) = &code {
        span.set_attribute("db.response.status_code", code.clone());
    }
    mark_failed(&span, code.unwrap_or_else(|| class.to_owned()));
}

/// Links `span` to the causes of the work that it stands for: a batch has many and can be below none of them. Causes are read
/// only when spans are exported; those whose traces nobody records are left out, and what is beyond 128, too.
pub fn link_causes<'a>(span: &tracing::Span, traceparents: impl Iterator<Item = &'a str>) {
    if span.is_disabled() {
        return;
    }
    let causes = traceparents.filter_map(SpanId::parse).filter(|cause| cause.sampled);
    for cause in causes.take(LINKS) {
        span.add_link(remote(cause));
    }
}

/// Links `span`, which has its cause as a parent, to the batch in which it is worked on: the span that the running task is in.
pub fn link_batch(span: &tracing::Span) {
    if span.is_disabled() {
        return;
    }
    let batch = tracing::Span::current().context().span().span_context().clone();
    if batch.is_valid() {
        span.add_link(batch);
    }
}
