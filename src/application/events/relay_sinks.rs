//! A turn for a sink: hold the tenant's cursor, hand events on in batches, move the cursor once a batch.
//!
//! One holder at a time reads the tenant's events in order; within a batch cases run in parallel. An event that the sink
//! refuses goes into a lane with all later ones of its case, and the rest flow on. An outage stops the reading where it
//! happened.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::{CaseId, DestinationId, TenantId};
use docket_domain::outbox::{BreakerState, Failure, Schedule};
use futures::future::join_all;
use tracing::Instrument;

use super::relay::{Relay, Stopping};
use super::relay_lanes::batch_span;
use crate::application::ports::event_feed::{FeedPosition, StoredEvent};
use crate::application::ports::event_sink::SinkError;
use crate::application::ports::relay_store::{Diverted, HeldCursor, ReadEvent};
use crate::application::ports::{EventSink, StoreError};
use crate::telemetry::delivery;

/// What became of a batch.
struct Handed {
    /// How far the cursor may move.
    until: Option<FeedPosition>,
    /// What goes into lanes.
    diverted: Vec<Diverted>,
    /// Whether the sink is down.
    outage: bool,
}

impl Relay {
    pub(super) async fn sink_turn(
        &self,
        tenant: TenantId,
        sink: &Arc<dyn EventSink>,
        stopping: &Stopping,
    ) -> Result<(), StoreError> {
        let (parts, name) = (&self.0, sink.name());
        let state = parts.destinations.state(DestinationId::of_sink(name), parts.clock.now());
        // While it is open nothing is read; a half-open one is tried with a single event.
        let limit = match state {
            BreakerState::Open => return Ok(()),
            BreakerState::HalfOpen => 1,
            BreakerState::Closed => sink.batch(),
        };
        let lease = parts.settings.lease;
        let Some(cursor) = parts.store.acquire(tenant, name, sink.start(), lease).await? else { return Ok(()) };
        let result = self.hand_on(tenant, sink, cursor, limit, stopping).await;
        parts.store.release(tenant, name, cursor.token).await?;
        result
    }

    async fn hand_on(
        &self,
        tenant: TenantId,
        sink: &Arc<dyn EventSink>,
        mut cursor: HeldCursor,
        limit: u32,
        stopping: &Stopping,
    ) -> Result<(), StoreError> {
        let (store, name, lease) = (&self.0.store, sink.name(), self.0.settings.lease);
        // Cases that went into lanes during this turn: a batch that was read before does not know.
        let mut parked = HashSet::new();
        let mut events = store.read(tenant, name, cursor.position, limit).await?;
        while !events.is_empty() && !stopping.stop.is_cancelled() {
            let more = events.len() >= limit as usize;
            let end = events.last().map_or(cursor.position, |read| position(&read.event));
            let following =
                async { if more { store.read(tenant, name, end, sink.batch()).await } else { Ok(Vec::new()) } };
            let work = self.hand_batch(sink, events, &mut parked);
            let both = async { tokio::join!(self.keeping(tenant, name, cursor, work), following) };
            let (handed, following) = tokio::select! {
                both = both => both,
                // The cursor stays, so that whoever holds it next hands the batch on again.
                () = stopping.give_up.cancelled() => return Ok(()),
            };
            let Handed { until, diverted, outage } = handed;
            if let Some(until) = until {
                cursor.position = until;
                if !store.advance(tenant, name, cursor, &diverted, lease).await? {
                    delivery::fenced();
                    tracing::warn!(%tenant, sink = name, "the lease was over before the batch was handed on");
                    return Ok(());
                }
            }
            if outage {
                return Ok(());
            }
            events = following?;
        }
        Ok(())
    }

    /// Does the work and renews the lease while it lasts.
    async fn keeping<T>(&self, tenant: TenantId, sink: &str, cursor: HeldCursor, work: impl Future<Output = T>) -> T {
        let lease = self.0.settings.lease;
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(lease / 3) => {
                    // Whether it is still ours shows when the cursor is moved.
                    if let Err(error) = self.0.store.advance(tenant, sink, cursor, &[], lease).await {
                        tracing::debug!(%error, "cannot renew a lease");
                    }
                }
            }
        }
    }

    async fn hand_batch(
        &self,
        sink: &Arc<dyn EventSink>,
        events: Vec<ReadEvent>,
        parked: &mut HashSet<CaseId>,
    ) -> Handed {
        parked.extend(events.iter().filter(|read| read.held).map(|read| read.event.case_id));
        let lanes = sink.concurrency().max(1);
        let (mut shares, mut places) = (vec![Vec::new(); lanes], vec![Vec::new(); lanes]);
        for (place, read) in events.iter().enumerate() {
            if !parked.contains(&read.event.case_id) {
                let lane = lane_of(read.event.case_id, lanes);
                shares[lane].push(read.event.clone());
                places[lane].push(place);
            }
        }
        let batch = batch_span(sink.name(), events.iter().map(|read| &read.event));
        let shares = shares.iter().filter(|share| !share.is_empty());
        let refused = join_all(shares.map(|share| sink.deliver(share))).instrument(batch).await;
        let now = self.0.clock.now();
        let mut failures: Vec<Option<SinkError>> = vec![None; events.len()];
        let used = places.iter().filter(|places| !places.is_empty());
        for (places, refused) in used.zip(refused) {
            for (index, error) in refused {
                if let Some(place) = places.get(index) {
                    failures[*place] = Some(error);
                }
            }
        }
        self.report(sink.name(), &failures, now);
        let outage = failures.iter().position(|failure| matches!(failure, Some(SinkError::Unavailable(_))));
        let handed = &events[..outage.unwrap_or(events.len())];
        let mut diverted = Vec::new();
        for (read, failure) in handed.iter().zip(&failures) {
            let event = &read.event;
            let known = parked.contains(&event.case_id);
            if let Some(failure) = failure {
                parked.insert(event.case_id);
                diverted.push(divert(event, u16::from(!known), Some(failure.to_string())));
            } else if known {
                diverted.push(divert(event, 0, None));
            } else {
                delivery::delivered(sink.name(), event.occurred_at, now);
            }
        }
        Handed { until: handed.last().map(|read| position(&read.event)), diverted, outage: outage.is_some() }
    }

    /// Tells the sink's breaker how the batch went: one answer, or one failure.
    fn report(&self, sink: &'static str, failures: &[Option<SinkError>], now: time::OffsetDateTime) {
        let id = DestinationId::of_sink(sink);
        let down = failures.iter().flatten().any(|error| matches!(error, SinkError::Unavailable(_)));
        self.0.destinations.begin(id, now).end(down.then_some(Failure::Outage { retry_after: None }), false, now);
        if let Some(error) = failures.iter().flatten().next() {
            tracing::warn!(sink, %error, "a sink did not take an event");
        }
    }
}

/// The first of a case waits for its next attempt; what comes behind it is due as soon as it is the head.
fn divert(event: &StoredEvent, attempts: u16, error: Option<String>) -> Diverted {
    let wait = Schedule::SINK.wait(attempts, 0.5).and_then(|wait| Duration::try_from(wait).ok());
    let (case_id, sequence, event_id) = (event.case_id, event.sequence, event.id);
    Diverted { case_id, sequence, event_id, attempts, error, after: wait.unwrap_or_default() }
}

fn position(event: &StoredEvent) -> FeedPosition {
    FeedPosition { transaction_id: event.transaction_id, id: event.id.0 }
}

/// All events of a case take the same way.
fn lane_of(case: CaseId, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    case.hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes as u64).unwrap_or(0)
}
