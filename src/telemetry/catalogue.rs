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
    page
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
