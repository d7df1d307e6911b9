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
/// Background services that run in this process.
pub const WORKER_SERVICES: &str = "docket_worker_service_up";
/// Background services that had to be started again.
pub const WORKER_RESTARTS: &str = "docket_worker_restarts_total";

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
    Metric {
        name: WORKER_SERVICES,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Whether a background service runs in this process: 1 or 0.",
        labels: &["service"],
    },
    Metric {
        name: WORKER_RESTARTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Background services that stopped without being asked and were started again: panicked, failed, ended.",
        labels: &["service", "reason"],
    },
];
