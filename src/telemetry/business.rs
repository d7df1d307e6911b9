//! What the service does, counted: acts on cases, replays of requests, connections of the pool.

use metrics::Unit;

use super::metrics::{Kind, Metric};

/// Acts on cases by action and outcome.
pub const CASE_ACTS: &str = "docket_case_acts_total";
/// Requests with an idempotency key that were not new.
pub const IDEMPOTENCY: &str = "docket_idempotency_total";
/// Writes that began again because the case moved under them.
pub const WRITE_RETRIES: &str = "docket_case_write_retries_total";
/// Connections of the pool.
pub const POOL_CONNECTIONS: &str = "db_client_connection_count";
/// The most connections the pool may open.
pub const POOL_MAX: &str = "db_client_connection_max";

/// Every business metric.
pub const METRICS: &[Metric] = &[
    Metric {
        name: CASE_ACTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Acts on cases: allowed, denied (not entitled) or conflict (not possible).",
        labels: &["action", "outcome"],
    },
    Metric {
        name: IDEMPOTENCY,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Requests whose Idempotency-Key was known: replayed, reused for another request, or in_flight.",
        labels: &["outcome"],
    },
    Metric {
        name: WRITE_RETRIES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Writes that were decided again because the case or its audit chain moved meanwhile.",
        labels: &[],
    },
    Metric {
        name: POOL_CONNECTIONS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Connections to PostgreSQL, idle or used.",
        labels: &["state"],
    },
    Metric {
        name: POOL_MAX,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Connections to PostgreSQL that the pool may open (database.pool_size).",
        labels: &[],
    },
];
