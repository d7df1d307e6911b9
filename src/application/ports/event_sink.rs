//! The port for destinations inside the operator's house: a broker, a subscriber in this process.

use async_trait::async_trait;

use super::event_feed::StoredEvent;

/// Where a sink begins that has never been handed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the tenant's first event.
    Beginning,
    /// With what is committed from now on.
    Now,
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The sink is down or overloaded. Opens its breaker; burns no attempt of the event.
    #[error("the sink is not available: {0}")]
    Unavailable(String),
    /// The sink cannot take this event. Counts as an attempt; only the event's own case waits.
    #[error("the sink refused the event: {0}")]
    Rejected(String),
}

/// Takes events.
///
/// Contract: `deliver` gets events of one tenant, those of one case in the order of `sequence`, and takes them in this order;
/// it returns the places of those that it did not take, and takes no later event of a case after it refused one. What it
/// takes must be durable or done when it returns. It may be handed the same event again (at-least-once): the event's id
/// tells. Several calls run at once, never two with events of the same case. To add a sink: implement this, and list it in
/// `bootstrap::worker`.
#[async_trait]
pub trait EventSink: Send + Sync + 'static {
    /// A fixed word: in metrics, in the administration of the outbox, and the key of its progress. Never changed.
    fn name(&self) -> &'static str;

    /// Where it begins.
    fn start(&self) -> Start {
        Start::Beginning
    }

    /// How many calls may run at once for one tenant.
    fn concurrency(&self) -> usize {
        8
    }

    /// Most events read at a time for one tenant.
    fn batch(&self) -> u32 {
        1_000
    }

    /// Takes events; the places of those not taken, with the reason.
    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)>;
}
