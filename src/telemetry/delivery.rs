//! Handing events on, counted: attempts, the time from commit to delivery, and what waits.

use docket_domain::outbox::Failure;
use metrics::Unit;
use time::OffsetDateTime;

use super::metrics::{Kind, Metric};
use crate::application::ports::relay_store::Waiting;

/// Attempts to deliver by kind of destination and outcome.
pub const ATTEMPTS: &str = "docket_event_delivery_attempts_total";
/// From the commit of an event to its delivery.
pub const LATENCY: &str = "docket_event_delivery_seconds";
/// Claims that were over before they were settled.
pub const FENCED: &str = "docket_event_delivery_fenced_total";
/// Deliveries in lanes.
pub const PENDING: &str = "docket_event_deliveries_pending";
/// Lanes whose head was given up.
pub const DEAD: &str = "docket_event_deliveries_dead";
/// Deliveries behind dead heads.
pub const PARKED: &str = "docket_event_deliveries_parked";
/// How long the oldest has made no progress.
pub const OLDEST: &str = "docket_event_oldest_pending_seconds";
/// Breakers that are not closed.
pub const BREAKERS: &str = "docket_event_breakers_open";

/// Lines of delivery logs that were removed because of their age.
pub const PURGED: &str = "docket_event_delivery_log_purged_total";

/// Every metric of delivery.
pub const METRICS: &[Metric] = &[
    Metric {
        name: ATTEMPTS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Attempts to deliver an event: delivered, rejected, outage or gone, by webhook or sink.",
        labels: &["sink", "outcome"],
    },
    Metric {
        name: LATENCY,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time from the change of a case to the delivery of its event, retries included.",
        labels: &["sink"],
    },
    Metric {
        name: FENCED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Sends whose lease was over before they were settled; another worker sent the same event.",
        labels: &[],
    },
    Metric {
        name: PENDING,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Deliveries that wait, also for their next attempt.",
        labels: &["sink"],
    },
    Metric {
        name: DEAD,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Cases whose next event was given up after the last attempt, one count a destination.",
        labels: &["sink"],
    },
    Metric {
        name: PARKED,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Deliveries that wait behind one that was given up.",
        labels: &["sink"],
    },
    Metric {
        name: OLDEST,
        kind: Kind::Gauge,
        unit: Unit::Seconds,
        help: "How long the event that waits longest has made no progress.",
        labels: &["sink"],
    },
    Metric {
        name: BREAKERS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "Destinations that this process leaves alone because they failed several times in a row.",
        labels: &[],
    },
    Metric {
        name: PURGED,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Lines of the endpoints' delivery logs that were removed because they were older than `webhooks.log_days`.",
        labels: &[],
    },
];

/// A head was tried.
pub fn attempted(sink: Option<&str>, failure: Option<Failure>, occurred_at: OffsetDateTime, now: OffsetDateTime) {
    let sink = sink.unwrap_or("webhook").to_owned();
    let outcome = match failure {
        None => "delivered",
        Some(Failure::Outage { .. }) => "outage",
        Some(Failure::Rejected { .. }) => "rejected",
        Some(Failure::Gone) => "gone",
    };
    if failure.is_none() {
        metrics::histogram!(LATENCY, "sink" => sink.clone()).record((now - occurred_at).as_seconds_f64().max(0.0));
    }
    metrics::counter!(ATTEMPTS, "sink" => sink, "outcome" => outcome).increment(1);
}

/// A sink took an event from the feed.
pub fn delivered(sink: &'static str, occurred_at: OffsetDateTime, now: OffsetDateTime) {
    metrics::histogram!(LATENCY, "sink" => sink).record((now - occurred_at).as_seconds_f64().max(0.0));
    metrics::counter!(ATTEMPTS, "sink" => sink, "outcome" => "delivered").increment(1);
}

/// A claim was over before it was settled.
pub fn fenced() {
    metrics::counter!(FENCED).increment(1);
}

/// Lines of delivery logs were removed.
pub fn purged(lines: u64) {
    metrics::counter!(PURGED).increment(lines);
}

/// Shows what waits; kinds without anything show zero.
pub fn show(sinks: &[&'static str], waiting: &[Waiting], open_breakers: usize) {
    let nothing = Waiting::default();
    for sink in sinks.iter().copied().chain(["webhook"]) {
        let found = waiting.iter().find(|one| one.sink == sink).unwrap_or(&nothing);
        #[allow(clippy::cast_precision_loss, reason = "a gauge")]
        for (name, value) in [(PENDING, found.pending), (DEAD, found.dead), (PARKED, found.parked)] {
            metrics::gauge!(name, "sink" => sink).set(value as f64);
        }
        metrics::gauge!(OLDEST, "sink" => sink).set(found.oldest_seconds.max(0.0));
    }
    metrics::gauge!(BREAKERS).set(f64::from(u32::try_from(open_breakers).unwrap_or(u32::MAX)));
}
