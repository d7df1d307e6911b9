//! What this process knows of the destinations: their breakers, and how much is on its way to each.

use std::collections::HashMap;

use docket_domain::ids::DestinationId;
use docket_domain::outbox::{Breaker, BreakerState, Failure};
use parking_lot::Mutex;
use time::OffsetDateTime;

use crate::application::ports::relay_store::Room;

#[derive(Debug, Default)]
struct Health {
    breaker: Breaker,
    on_the_way: u32,
}

impl Health {
    /// Nothing worth remembering: the map stays as small as the trouble.
    fn is_forgettable(&self) -> bool {
        self.on_the_way == 0 && self.breaker == Breaker::default()
    }
}

/// Breakers and counts. Each process has its own: a destination that only one of them cannot reach is left alone only there.
#[derive(Debug)]
pub struct Destinations {
    each: u32,
    known: Mutex<HashMap<DestinationId, Health>>,
}

impl Destinations {
    /// At most `each` sends to one destination at once.
    pub fn new(each: u32) -> Self {
        Self { each, known: Mutex::default() }
    }

    /// How many lanes may be claimed now.
    pub fn room(&self, total: u32, sinks: &[DestinationId], now: OffsetDateTime) -> Room {
        let known = self.known.lock();
        let of = known.iter().map(|(id, health)| {
            let room = match health.breaker.state(now) {
                BreakerState::Closed => self.each.saturating_sub(health.on_the_way),
                BreakerState::HalfOpen => 1_u32.saturating_sub(health.on_the_way),
                BreakerState::Open => 0,
            };
            (*id, room)
        });
        Room { total, each: self.each, of: of.collect(), sinks: sinks.to_vec() }
    }

    /// Whether the destination may be tried now.
    pub fn state(&self, id: DestinationId, now: OffsetDateTime) -> BreakerState {
        self.known.lock().get(&id).map_or(BreakerState::Closed, |health| health.breaker.state(now))
    }

    /// A send begins.
    pub fn begin(&self, id: DestinationId) {
        self.known.lock().entry(id).or_default().on_the_way += 1;
    }

    /// A send ended.
    pub fn end(&self, id: DestinationId, failure: Option<Failure>, trouble: bool, now: OffsetDateTime) {
        let mut known = self.known.lock();
        let health = known.entry(id).or_default();
        health.on_the_way = health.on_the_way.saturating_sub(1);
        if trouble || matches!(failure, Some(Failure::Outage { .. })) {
            health.breaker.failed(now);
        } else {
            health.breaker.answered();
        }
        if health.is_forgettable() {
            known.remove(&id);
        }
    }

    /// A send was let go of before anything was known of it.
    pub fn withdraw(&self, id: DestinationId) {
        let mut known = self.known.lock();
        let Some(health) = known.get_mut(&id) else { return };
        health.on_the_way = health.on_the_way.saturating_sub(1);
        if health.is_forgettable() {
            known.remove(&id);
        }
    }

    /// Breakers that are not closed.
    pub fn open(&self, now: OffsetDateTime) -> usize {
        self.known.lock().values().filter(|health| health.breaker.state(now) != BreakerState::Closed).count()
    }
}
