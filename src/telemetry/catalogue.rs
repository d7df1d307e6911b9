//! Every metric there is, part by part, and the page that lists them: docs/telemetry.md.

use std::fmt::Write as _;

use super::metrics::{Kind, Metric};

/// The parts in the order of the page. A new list of metrics is a line here; whatever is not listed has no help text at
/// /metrics and no place on the page, and a test finds it.
pub const PARTS: &[(&str, &[Metric])] = &[
    ("HTTP", super::metrics::METRICS),
    ("Cases and background services", super::business::METRICS),
    ("What the service stands on", super::dependencies::METRICS),
    ("Events", super::delivery::METRICS),
    ("Jobs", super::jobs::METRICS),
    ("Deadlines", super::deadlines::METRICS),
    ("Plugins", super::plugins::METRICS),
    ("Enrichment", super::enrichment::METRICS),
    ("Retrieval", super::retrieval::METRICS),
    ("Language models", super::gen_ai::METRICS),
    ("Answers", super::answers::METRICS),
    ("The process", super::process::METRICS),
];

const HEAD: &str = "# Telemetry\n\n\
    Written from `src/telemetry/` (`UPDATE_DOCS=1 cargo test telemetry_page`); the dashboards and alerts under `deploy/` may \
    name only what stands here, and a test of the real service holds `/metrics` to it.\n\n\
    Labels are bounded: route templates, status codes, names of roles, kinds and destinations' kinds; never an id, a path or a \
    tenant's text. A counter or histogram with labels appears with its first observation. Histograms of language \
    models have the buckets that OpenTelemetry asks for (`src/telemetry/gen_ai.rs`); every other histogram has the buckets\n";

const TRACES: &str = "\n## Traces\n\n\
    Spans go to `telemetry.otlp_endpoint` (OTLP over HTTP). A trace that begins here is recorded in the share `telemetry.sample_ratio`; \
    whoever calls with a `traceparent` has decided already, and webhooks, jobs and plugins share the fate of their request. Names, \
    kinds and attributes are those of OpenTelemetry's semantic conventions v1.41 for HTTP and databases and v1.41.1 for \
    generative AI; `tests/service.rs` and `tests/service/` hold two whole traces to them.\n\n\
    | span | kind | attributes |\n|---|---|---|\n\
    | `POST /v1/cases` (method and route) | server | `http.request.method`, `http.route`, `url.path`, `url.scheme`, `http.response.status_code`; `error.type` for 5xx alone |\n\
    | `SELECT cases` (operation and table) | client | `db.system.name`, `db.operation.name`, `db.collection.name` (or `db.stored_procedure.name`, or `db.query.summary` where a statement has several operations), `db.namespace`, `server.address`, `server.port` (the embedded server has no address); `db.response.status_code` (SQLSTATE) and `error.type` when it failed |\n\
    | `POST webhook` | client | `http.request.method`, `server.address`, `server.port`, `url.full` without its path, `http.response.status_code`, `error.type`, `messaging.message.id`, `docket.delivery.outcome` |\n\
    | `publish to NATS` | producer | `messaging.system`, `messaging.message.id`, `messaging.destination.name` |\n\
    | `relay batch`, `job` | consumer | linked to, or below, the requests that caused them |\n\
    | `plugin` | client | `plugin`, `error.type` |\n\
    | `chat` and the model | client | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `.max_tokens`, `.stream`, `gen_ai.response.finish_reasons`, `.time_to_first_chunk`, `gen_ai.usage.input_tokens`, `.output_tokens`, `.cache_read.input_tokens`, `.cache_creation.input_tokens`, `error.type` |\n\
    | `embeddings` and the model | internal | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.embeddings.dimension.count` |\n\n\
    Left out on purpose: texts of questions, answers and statements, query strings, and the paths of webhooks, which may be secrets.\n";

/// The page.
pub fn markdown() -> String {
    let buckets: Vec<String> = super::metrics::DURATION_BUCKETS.iter().map(ToString::to_string).collect();
    let mut page = format!("{HEAD}{} (seconds).\n", buckets.join(", "));
    for (part, metrics) in PARTS {
        let _ = write!(page, "\n## {part}\n\n| metric | kind | labels | what it says |\n|---|---|---|---|\n");
        for Metric { name, kind, help, labels, .. } in *metrics {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(page, "| `{name}` | {} | {} | {help} |", kind.word(), labels.join(", "));
        }
    }
    page + TRACES
}

/// The name of the metric that a sample's name belongs to: a histogram's samples carry a suffix.
pub fn metric_of(sample: &str) -> Option<&'static Metric> {
    PARTS.iter().flat_map(|(_, metrics)| metrics.iter()).find(|metric| {
        let rest = sample.strip_prefix(metric.name);
        match metric.kind {
            Kind::Histogram => rest.is_some_and(|rest| matches!(rest, "_bucket" | "_sum" | "_count")),
            Kind::Counter | Kind::Gauge => rest == Some(""),
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_telemetry_page_lists_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/telemetry.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "run UPDATE_DOCS=1 cargo test telemetry_page");
    }

    #[test]
    fn no_metric_is_listed_twice_and_every_counter_ends_in_total() {
        let mut seen = BTreeSet::new();
        for metric in PARTS.iter().flat_map(|(_, metrics)| metrics.iter()) {
            assert!(seen.insert(metric.name), "{} is listed twice", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }

    #[test]
    fn a_sample_leads_to_its_metric() {
        assert_eq!(metric_of("docket_job_wait_seconds_bucket").unwrap().name, "docket_job_wait_seconds");
        assert!(metric_of("docket_jobs_waiting_count").is_none());
    }
}
