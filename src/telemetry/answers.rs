//! The signals of answers: what a budget refused, and calls that nobody settled.

use metrics::{Unit, counter};

use super::metrics::{Kind, Metric};

const REFUSALS: &str = "docket_budget_refusals_total";
const LOST: &str = "docket_model_calls_lost_total";
const PREFIX_CACHE: &str = "docket_prompt_prefix_cache_total";

/// What is measured, for `# HELP`.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: REFUSALS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions that a tenant's budget did not cover.",
        labels: &[],
    },
    Metric {
        name: LOST,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Model calls that nobody settled in time; they were charged in full.",
        labels: &[],
    },
    Metric {
        name: PREFIX_CACHE,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions to a model provider whose instructions and passages stood ready from an earlier one (hit) or not (miss).",
        labels: &["outcome"],
    },
];

/// A budget refused a question.
pub fn refused_by_budget() {
    counter!(REFUSALS).increment(1);
}

/// Whether the beginning of a prompt was remembered.
pub fn count_prefix(known: bool) {
    counter!(PREFIX_CACHE, "outcome" => if known { "hit" } else { "miss" }).increment(1);
}

/// So many calls were found that nobody settled.
pub fn calls_lost(number: u64) {
    counter!(LOST).increment(number);
}
