//! The signals of enrichment: how questions to the company register end, and whether it is left alone.

use metrics::{Unit, counter, gauge};

use super::metrics::{Kind, Metric};

const LOOK_UPS: &str = "docket_register_look_ups_total";
const BREAKER: &str = "docket_register_breaker_open";

/// What is measured, for `# HELP`.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: LOOK_UPS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions to the company register: found, unknown, unavailable, garbage, refused or breaker_open.",
        labels: &["outcome"],
    },
    Metric {
        name: BREAKER,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "1 while the company register is in trouble and left alone.",
        labels: &[],
    },
];

/// A question ended, or was not asked; `open` says whether the register is left alone from now on.
pub fn asked(outcome: &'static str, open: bool) {
    counter!(LOOK_UPS, "outcome" => outcome).increment(1);
    gauge!(BREAKER).set(f64::from(u8::from(open)));
}
