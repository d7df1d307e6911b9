//! What plugins do, measured. The label `plugin` is the name of an entry point, `event` what plugins count themselves.

use metrics::Unit;

use super::metrics::{Kind, Metric, metric};

/// Calls that ended.
pub const PLUGIN_CALLS: &str = "docket_plugin_calls_total";
/// From asked to answered, waiting included.
pub const PLUGIN_CALL_SECONDS: &str = "docket_plugin_call_seconds";
/// Calls that wait for a worker.
pub const PLUGIN_QUEUE: &str = "docket_plugin_queue";
/// Workers that were replaced.
pub const PLUGIN_WORKERS_REPLACED: &str = "docket_plugin_workers_replaced_total";
/// What plugins count.
pub const PLUGIN_EVENTS: &str = "docket_plugin_events_total";

/// Every metric of plugins.
pub const METRICS: &[Metric] = &[
    metric(PLUGIN_CALLS, Kind::Counter, Unit::Count, "Plugin calls that ended", &["plugin", "outcome"]),
    metric(PLUGIN_CALL_SECONDS, Kind::Histogram, Unit::Seconds, "Time of a plugin call, waiting included", &["plugin"]),
    metric(PLUGIN_QUEUE, Kind::Gauge, Unit::Count, "Plugin calls that wait for a worker", &[]),
    metric(PLUGIN_WORKERS_REPLACED, Kind::Counter, Unit::Count, "Plugin workers that were replaced", &["reason"]),
    metric(PLUGIN_EVENTS, Kind::Counter, Unit::Count, "What plugins count themselves", &["plugin", "event"]),
];
