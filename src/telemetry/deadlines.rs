//! What becomes of deadlines, measured. Labels are words of the domain.

use metrics::Unit;

use super::metrics::{Kind, Metric};

/// Notices given.
pub const NOTICES: &str = "docket_deadline_notices_total";
/// Cases of which a notice could not be given at this try.
pub const NOTICES_FAILED: &str = "docket_deadline_notices_failed_total";
/// Escalations of breached cases.
pub const ESCALATIONS: &str = "docket_deadline_escalations_total";
/// Undecided cases past their deadline.
pub const CASES_OVERDUE: &str = "docket_cases_overdue";

/// Every metric of deadlines.
pub const METRICS: &[Metric] = &[
    Metric {
        name: NOTICES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Notices of deadlines: warned_75, warned_90 or breached.",
        labels: &["notice"],
    },
    Metric {
        name: NOTICES_FAILED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Cases of which a notice was owed and could not be given; the next sweep tries again.",
        labels: &[],
    },
    Metric {
        name: ESCALATIONS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Escalations of breached cases: escalated, refused (by the rules, recorded) or moot (another deadline by then).",
        labels: &["outcome"],
    },
    Metric {
        name: CASES_OVERDUE,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Undecided cases past their deadline, over all tenants, counted up to 10,000.",
        labels: &[],
    },
];
