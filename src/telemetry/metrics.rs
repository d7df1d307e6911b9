//! Every metric by name, unit, help and labels, and the recorder that /metrics renders.
//!
//! Labels must be bounded: matched route templates, status codes, fixed words; never an id, a path or a tenant's text.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One documented metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The name with its unit, as Prometheus recommends.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The unit.
    pub unit: Unit,
    /// One sentence for whoever reads a dashboard.
    pub help: &'static str,
    /// The labels that it carries.
    pub labels: &'static [&'static str],
}

/// A metric, in one line where it fits.
pub(super) const fn metric(
    name: &'static str,
    kind: Kind,
    unit: Unit,
    help: &'static str,
    labels: &'static [&'static str],
) -> Metric {
    Metric { name, kind, unit, help, labels }
}

/// Duration of HTTP requests until the head of the answer.
pub const HTTP_DURATION: &str = "http_server_request_duration_seconds";
/// Requests being worked on.
pub const HTTP_ACTIVE: &str = "http_server_active_requests";
/// Requests refused at once because too many were in flight.
pub const HTTP_SHED: &str = "http_server_shed_requests_total";
/// Requests whose handler panicked.
pub const HTTP_PANICS: &str = "http_server_panics_total";
/// Open connections.
pub const HTTP_CONNECTIONS: &str = "http_server_connections";
/// Connections closed by the server for a reason.
pub const HTTP_CONNECTIONS_CLOSED: &str = "http_server_connections_closed_total";

/// Every metric of the HTTP shell; other parts describe theirs by [`describe`].
pub const METRICS: &[Metric] = &[
    Metric {
        name: HTTP_DURATION,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time from the head of a request to the head of its answer.",
        labels: &["method", "route", "status"],
    },
    Metric { name: HTTP_ACTIVE, kind: Kind::Gauge, unit: Unit::Count, help: "Requests being worked on.", labels: &[] },
    Metric {
        name: HTTP_SHED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Requests answered 503 at once because server.max_in_flight were being worked on.",
        labels: &[],
    },
    Metric {
        name: HTTP_PANICS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Requests answered 500 because their handler panicked.",
        labels: &["route"],
    },
    Metric { name: HTTP_CONNECTIONS, kind: Kind::Gauge, unit: Unit::Count, help: "Open connections.", labels: &[] },
    Metric {
        name: HTTP_CONNECTIONS_CLOSED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Connections that the server closed: slow_head, slow_reader, idle, or shutdown.",
        labels: &["reason"],
    },
];

/// Upper bounds of the duration buckets, in seconds: dense around the objectives (5, 25, 100 ms).
pub const DURATION_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The recorder could not be built; a bug in the buckets.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(String);

static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();

/// Installs the recorder of this process, once; later calls return the same one. Every histogram whose name ends in
/// `_seconds` gets [`DURATION_BUCKETS`].
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let build = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS)
            .and_then(gen_ai_buckets)
            .map_err(|error| error.to_string())?;
        let handle = builder.install_recorder().map_err(|error| error.to_string())?;
        for (_, metrics) in super::catalogue::PARTS {
            describe(metrics);
            begin_at_zero(metrics);
        }
        Ok(handle)
    };
    HANDLE.get_or_init(build).clone().map_err(MetricsError)
}

/// The buckets that the conventions for language models ask for, in place of ours.
fn gen_ai_buckets(builder: PrometheusBuilder) -> Result<PrometheusBuilder, BuildError> {
    use super::gen_ai::{DURATION_BUCKETS, OPERATION_DURATION, TIME_TO_FIRST_CHUNK, TOKEN_BUCKETS, TOKEN_USAGE};
    let full = |name: &str| Matcher::Full(name.to_owned());
    builder
        .set_buckets_for_metric(full(OPERATION_DURATION), DURATION_BUCKETS)?
        .set_buckets_for_metric(full(TIME_TO_FIRST_CHUNK), DURATION_BUCKETS)?
        .set_buckets_for_metric(full(TOKEN_USAGE), TOKEN_BUCKETS)
}

/// Registers units and help texts.
pub fn describe(metrics: &[Metric]) {
    for Metric { name, kind, unit, help, .. } in metrics {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

/// Shows counters without labels from the first scrape on: otherwise the first event would make the series appear, and a rate
/// sees only what changes. Left out is what others count, the database server and the kernel: there a nought would be wrong.
fn begin_at_zero(metrics: &[Metric]) {
    let of_others = |name: &str| name == super::dependencies::DEADLOCKS || name.starts_with("process_");
    for Metric { name, kind, labels, .. } in metrics {
        if *kind == Kind::Counter && labels.is_empty() && !of_others(name) {
            metrics::counter!(*name).absolute(0);
        }
    }
}

/// Everything measured, in Prometheus' text format 0.0.4; empty before [`install`].
pub fn render() -> String {
    let mut text =
        HANDLE.get().and_then(|handle| handle.as_ref().ok()).map(PrometheusHandle::render).unwrap_or_default();
    text.push_str(&super::process::text());
    text
}

/// Moves raw observations into their buckets every five seconds. Without it a histogram that nobody scrapes grows
/// without end.
pub async fn upkeep() {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        if let Some(Ok(handle)) = HANDLE.get() {
            handle.run_upkeep();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_counter_without_labels_is_there_before_it_counts_unless_others_count_it() {
        install().unwrap();
        let text = render();
        for name in
            [super::super::jobs::JOBS_FENCED, super::super::delivery::FENCED, super::super::dependencies::POOL_TIMEOUTS]
        {
            assert!(text.contains(&format!("\n{name} 0\n")), "{name}");
        }
        assert!(!text.contains(&format!("\n{} 0\n", super::super::dependencies::DEADLOCKS)));
        assert_eq!(text.matches("\nprocess_cpu_seconds_total ").count(), 1);
    }
}
