//! A turn for a tenant's lanes: write the deliveries of new events, claim what is due, send each in a task of its own.

use std::time::Duration;

use docket_domain::ids::TenantId;
use docket_domain::outbox::{Failure, Schedule, Verdict, judge};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::destinations::OnTheWay;
use super::envelope::Envelope;
use super::relay::{Relay, Stopping, Turn};
use crate::application::ports::StoreError;
use crate::application::ports::delivery_log::Attempt;
use crate::application::ports::event_feed::StoredEvent;
use crate::application::ports::event_sink::SinkError;
use crate::application::ports::relay_store::{ClaimedHead, LaneClaim, Outcome, Settlement};
use crate::application::webhooks::send::{Meaning, meaning};
use crate::telemetry::{delivery, link_causes};

/// Events that become deliveries in one step.
const FAN_OUT: u32 = 500;
/// Such steps of one turn, so that a tenant with a great backlog keeps no other waiting.
const FAN_OUT_STEPS: u32 = 8;
/// How often a settlement is tried when the store fails; afterwards the lease ends and the event is sent again.
const SETTLE_TRIES: u32 = 5;

/// How one attempt went.
struct Tried {
    meaning: Meaning,
    error: Option<String>,
    attempt: Option<Attempt>,
    schedule: Schedule,
    /// Whether the endpoint had taken something else since the failure before. A sink says itself whether it or the event
    /// is the cause.
    took_another: bool,
}

impl Relay {
    /// Whether the tenant has endpoints at all.
    ///
    /// Writing deliveries and sending them take turns, so that however much waits, the first of it leaves at once.
    pub(super) async fn lane_turn(&self, tenant: TenantId, stopping: &Stopping) -> Result<bool, StoreError> {
        let parts = &self.0;
        for _ in 0..FAN_OUT_STEPS {
            let passed = parts.store.fan_out(tenant, FAN_OUT).await?;
            self.claim_due(tenant, stopping).await?;
            if passed != Some(FAN_OUT) || stopping.stop.is_cancelled() {
                return Ok(passed.is_some() || !parts.sinks.is_empty());
            }
        }
        // There is more: other tenants first.
        parts.lanes.ask(Turn::Lanes(tenant));
        Ok(true)
    }

    /// Claims what is due and sends it, as long as there is room.
    async fn claim_due(&self, tenant: TenantId, stopping: &Stopping) -> Result<(), StoreError> {
        let parts = &self.0;
        while !stopping.stop.is_cancelled() {
            let free = u32::try_from(parts.places.available_permits()).unwrap_or(u32::MAX);
            if free == 0 {
                parts.starved.lock().insert(tenant);
                break;
            }
            let room = parts.destinations.room(free, &self.sink_ids(), parts.clock.now());
            let asked = Instant::now();
            let heads = parts.store.claim(tenant, &room, parts.settings.lease).await?;
            let claimed = u32::try_from(heads.len()).unwrap_or(u32::MAX);
            let batch = batch_span("lanes", heads.iter().map(|head| &head.event));
            let mut heads = heads.into_iter();
            while let Some(head) = heads.next() {
                // Another tenant's turn may have taken the places meanwhile: then this waits.
                let place = tokio::select! {
                    biased;
                    () = stopping.stop.cancelled() => None,
                    place = parts.places.clone().acquire_owned() => place.ok(),
                };
                let late = asked.elapsed() > parts.settings.begin_within();
                let Some(place) = place.filter(|_| !late) else {
                    let unsent: Vec<_> = std::iter::once(&head).chain(heads.as_slice()).map(LaneClaim::from).collect();
                    // Who waited too long claims anew, and has the whole time for the send.
                    let why = if late { "no place was free in time" } else { "the relay stops" };
                    self.let_go(tenant, &unsent, why).await;
                    parts.lanes.ask(Turn::Lanes(tenant));
                    break;
                };
                let on_the_way = parts.destinations.begin(head.destination, parts.clock.now());
                let (relay, give_up) = (self.clone(), stopping.give_up.clone());
                let send = async move {
                    let claim = LaneClaim::from(&head);
                    tokio::select! {
                        tried = relay.attempt(&head) => relay.conclude(tenant, head, tried, (place, on_the_way)).await,
                        () = give_up.cancelled() => {
                            drop(on_the_way);
                            relay.let_go(tenant, &[claim], "the relay stops").await;
                        }
                    }
                };
                parts.sends.spawn(send.instrument(batch.clone()));
            }
            if claimed < free {
                break;
            }
        }
        Ok(())
    }

    /// Hands lanes back, so that another relay has them at once and not when the lease ends. What was on its way may have
    /// arrived: then it arrives again, under the same id.
    async fn let_go(&self, tenant: TenantId, claims: &[LaneClaim], why: &'static str) {
        match self.0.store.hand_back(tenant, claims).await {
            Ok(freed) => tracing::info!(%tenant, freed, why, "handed deliveries back"),
            Err(error) => tracing::warn!(%error, %tenant, "cannot hand deliveries back; they wait for their lease"),
        }
    }

    /// Judges one attempt and settles its lane.
    async fn conclude(
        &self,
        tenant: TenantId,
        head: ClaimedHead,
        tried: Tried,
        (place, on_the_way): (OwnedSemaphorePermit, OnTheWay),
    ) {
        let parts = &self.0;
        let now = parts.clock.now();
        let Meaning { failure, trouble } = tried.meaning;
        on_the_way.end(failure, trouble, now);
        let outcome = failure.map_or(Outcome::Delivered, |failure| {
            let wait = |after: time::Duration| Duration::try_from(after).unwrap_or_default();
            match judge(head.attempts, failure, tried.took_another, tried.schedule, rand_unit()) {
                Verdict::Retry { attempts, after } => Outcome::Retry { attempts, after: wait(after) },
                Verdict::Dead { attempts } => Outcome::Dead { attempts },
                Verdict::Disable => Outcome::Disable,
            }
        });
        delivery::attempted(head.sink.as_deref(), failure, head.event.occurred_at, now);
        let settlement = Settlement {
            destination: head.destination,
            case_id: head.event.case_id,
            sequence: head.event.sequence,
            token: head.token,
            outcome,
            error: tried.error,
            attempt: tried.attempt,
        };
        self.settle(tenant, &settlement).await;
        drop(place);
        // The lane's next event, and whoever found no place.
        parts.lanes.ask(Turn::Lanes(tenant));
        for waiting in parts.starved.lock().drain() {
            parts.lanes.ask(Turn::Lanes(waiting));
        }
    }

    async fn attempt(&self, head: &ClaimedHead) -> Tried {
        match (&head.endpoint, &head.sink) {
            (Some(target), _) => {
                let took_another = self.took_another(head).await;
                let envelope = Envelope::from(head.event.clone());
                let receipt = self.0.sending.send(target, &envelope).await;
                let meaning = meaning(&receipt);
                let attempt = Attempt {
                    id: self.0.clock.new_id(),
                    destination: head.destination,
                    event_id: head.event.id,
                    event_type: envelope.r#type,
                    case_id: Some(head.event.case_id),
                    sequence: Some(head.event.sequence),
                    attempt: head.attempts + 1,
                    outcome: outcome_word(meaning.failure).to_owned(),
                    status: receipt.status,
                    duration_ms: u32::try_from(receipt.took.as_millis()).unwrap_or(u32::MAX),
                    detail: receipt.detail.clone(),
                    attempted_at: self.0.clock.now(),
                };
                let said =
                    receipt.status.map_or_else(|| receipt.detail.clone(), |status| Some(format!("HTTP {status}")));
                let error = meaning.failure.and(said);
                Tried { meaning, error, attempt: Some(attempt), schedule: Schedule::WEBHOOK, took_another }
            }
            (None, name) => {
                let sink = self.0.sinks.iter().find(|sink| Some(sink.name()) == name.as_deref());
                let refused = match sink {
                    Some(sink) => sink.deliver(std::slice::from_ref(&head.event)).await.into_iter().next(),
                    None => Some((0, SinkError::Unavailable("this process has no such sink".to_owned()))),
                };
                let failure = refused.as_ref().map(|(_, error)| match error {
                    SinkError::Unavailable(_) => Failure::Outage { retry_after: None },
                    SinkError::Rejected(_) => Failure::Rejected { retry_after: None },
                });
                let error = refused.map(|(_, error)| error.to_string());
                let meaning = Meaning { failure, trouble: false };
                Tried { meaning, error, attempt: None, schedule: Schedule::SINK, took_another: false }
            }
        }
    }

    /// Whether the endpoint took something since the head last failed; what cannot be told does not count.
    async fn took_another(&self, head: &ClaimedHead) -> bool {
        let Some(since) = head.failed_at else { return false };
        let took = self.0.store.took_since(head.event.tenant_id, head.destination, since).await;
        took.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read the delivery log");
            false
        })
    }

    async fn settle(&self, tenant: TenantId, settlement: &Settlement) {
        for attempt in 1..=SETTLE_TRIES {
            match self.0.store.settle(tenant, settlement).await {
                Ok(true) => return,
                Ok(false) => {
                    delivery::fenced();
                    tracing::warn!(%tenant, case = %settlement.case_id, "the lease was over before the send was settled");
                    return;
                }
                Err(error) => tracing::warn!(%error, attempt, "cannot settle a delivery"),
            }
            tokio::time::sleep(Duration::from_millis(100) * attempt).await;
        }
    }
}

/// The span of a batch that is handed on together, linked to the requests that caused its events; none for an empty batch. What
/// is sent of it is below its own cause, and linked to this.
pub(super) fn batch_span<'a>(reader: &str, events: impl ExactSizeIterator<Item = &'a StoredEvent>) -> Span {
    if events.len() == 0 {
        return Span::none();
    }
    let span = tracing::info_span!(
        parent: None,
        "relay batch",
        otel.kind = "consumer",
        messaging.operation.type = "process",
        messaging.destination.name = reader,
        messaging.batch.message_count = events.len(),
    );
    link_causes(&span, events.filter_map(|event| event.traceparent.as_deref()));
    span
}

/// The word for a failure in the log and in metrics.
pub fn outcome_word(failure: Option<Failure>) -> &'static str {
    match failure {
        None => "delivered",
        Some(Failure::Outage { .. }) => "outage",
        Some(Failure::Rejected { .. }) => "rejected",
        Some(Failure::Gone) => "gone",
    }
}

/// Jitter: spreads retries, decides nothing.
#[allow(clippy::disallowed_methods, reason = "no test and no rule depends on which tenth of the wait is taken")]
fn rand_unit() -> f64 {
    rand::random()
}
