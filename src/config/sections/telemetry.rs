//! The section `telemetry`: logs, traces and metrics.

use serde::Deserialize;

use crate::config::sections::optional_text;
use crate::config::setting::{Rule, section};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

section! {
    /// Logs (to standard error), traces (to an OpenTelemetry collector) and metrics (at /metrics).
    Telemetry = "telemetry" {
        /// `auto` is pretty on a terminal and JSON otherwise.
        log_format: LogFormat = "\"auto\"", Rule::OneOf(&["auto", "pretty", "json"]);
        /// Which log lines and spans are kept, in the syntax of tracing's `EnvFilter`.
        log_filter: String = "\"info\"", Rule::LogFilter;
        /// Base URL of an OTLP/HTTP collector, for instance <http://localhost:4318>. Empty: traces are not exported.
        #[serde(deserialize_with = "optional_text")]
        otlp_endpoint: Option<String> = "\"\"", Rule::Url(&["http", "https"]);
        /// The `service.name` of exported traces.
        service_name: String = "\"docket\"", Rule::Text;
        /// Share of new traces that are exported; a caller's decision in `traceparent` is kept.
        sample_ratio: f64 = "1.0", Rule::Number { min: 0.0, max: 1.0 };
        /// Time for one export before it is given up, in milliseconds.
        export_timeout_ms: u64 = "5000", Rule::Integer { min: 100, max: 60_000 };
    }
}
