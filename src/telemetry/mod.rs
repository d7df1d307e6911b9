//! Traces, metrics and logs: set up first, flushed last.
//!
//! Log lines go to standard error. Spans exist only when traces are exported; without a collector they are disabled at
//! their call sites and cost nothing, yet every request still has a trace id (see [`RequestContext`]).

pub mod answers;
pub mod business;
pub mod catalogue;
mod context;
mod database_spans;
pub mod deadlines;
pub mod delivery;
pub mod dependencies;
pub mod disk;
pub mod enrichment;
pub mod gen_ai;
pub mod jobs;
mod logs;
pub mod metrics;
pub mod plugins;
mod process;
pub mod retrieval;
mod traces;

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use secrecy::ExposeSecret;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use context::{Identity, RequestContext, SpanId, TRACEPARENT, current, inject_current, scope, within};
pub use traces::{adopt, link_batch, link_causes, mark_failed, statement_failed};

use crate::config::Config;

/// How long the last flush may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// Telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter refused its settings.
    #[error("cannot export traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The filter is not valid.
    #[error("telemetry.log_filter is not valid: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The metrics recorder could not be built.
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    /// Another subscriber was installed before.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Keeps telemetry alive; call [`TelemetryGuard::shutdown`] as the last act of the process.
#[derive(Debug)]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

impl TelemetryGuard {
    /// Sends what is still queued, within two seconds; what the collector does not take by then is lost.
    pub fn shutdown(self) {
        if let Some(provider) = self.provider {
            let (done, waiting) = std::sync::mpsc::sync_channel(1);
            // The exporter's own timeout may be longer than ours, and a collector may hang.
            std::thread::spawn(move || done.send(provider.shutdown_with_timeout(FLUSH_WITHIN)));
            if !matches!(waiting.recv_timeout(FLUSH_WITHIN), Ok(Ok(()))) {
                tracing::warn!("the last traces could not be delivered to the collector");
            }
        }
    }
}

/// Sets up logs, traces and metrics of this process. Call it once, outside of an async runtime.
pub fn init(config: &Config) -> Result<TelemetryGuard, TelemetryError> {
    let settings = &config.telemetry;
    metrics::install()?;
    let filter = || EnvFilter::try_new(&settings.log_filter);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(logs::Line::of(settings.log_format))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_filter(filter()?.and(filter_fn(is_event)));
    let database_url = config.database.url.as_ref().map(ExposeSecret::expose_secret);
    let provider = match settings.otlp_endpoint.as_deref() {
        Some(endpoint) => Some(traces::provider(settings, endpoint, database_url)?),
        None => None,
    };
    let spans = match &provider {
        Some(provider) => {
            let tracer = tracing_opentelemetry::layer().with_tracer(provider.tracer("docket")).with_location(false);
            Some(
                tracer
                    .with_threads(false)
                    .with_tracked_inactivity(false)
                    .with_filter(filter()?.and(filter_fn(exported))),
            )
        }
        None => None,
    };
    tracing_subscriber::registry().with(lines).with(spans).try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("(no message)");
        let location = panic.location().map(ToString::to_string);
        tracing::error!(target: "docket::panic", location, "panicked: {message}");
    }));
    Ok(TelemetryGuard { provider })
}

fn is_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

/// Spans are exported, and warnings within them; the exporter's own HTTP client is not.
fn exported(metadata: &Metadata<'_>) -> bool {
    let own_pipeline =
        ["opentelemetry", "hyper", "reqwest", "h2"].iter().any(|name| metadata.target().starts_with(name));
    !own_pipeline && (metadata.is_span() || *metadata.level() <= Level::WARN)
}
