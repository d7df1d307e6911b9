//! What this process knows of the destinations: their breakers, and how much is on its way to each.

use std::collections::HashMap;
use std::sync::Arc;

use docket_domain::ids::DestinationId;
use docket_domain::outbox::{Breaker, BreakerState, Failure};
use docket_domain::resilience::breaker::LONGEST_PAUSE;
use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};

use crate::application::ports::relay_store::Room;

/// A destination that nobody has tried for so long after any pause was over has been removed or disabled.
const REMEMBERED: Duration = LONGEST_PAUSE.saturating_mul(2);

#[derive(Debug)]
struct Health {
    breaker: Breaker,
    on_the_way: u32,
    /// When it was last heard of.
    seen: OffsetDateTime,
}

impl Health {
    fn new(seen: OffsetDateTime) -> Self {
        Self { breaker: Breaker::default(), on_the_way: 0, seen }
    }

    /// Nothing worth remembering: the map stays as small as the trouble.
    fn is_forgettable(&self) -> bool {
        self.on_the_way == 0 && self.breaker == Breaker::default()
    }

    /// Trouble of long ago; also that of a clock which has been set back since.
    fn is_past(&self, now: OffsetDateTime) -> bool {
        self.on_the_way == 0 && (now - self.seen).abs() > REMEMBERED
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

    /// A send begins; it is on its way until what is returned has ended or is dropped.
    pub fn begin(self: &Arc<Self>, id: DestinationId, now: OffsetDateTime) -> OnTheWay {
        self.known.lock().entry(id).or_insert_with(|| Health::new(now)).on_the_way += 1;
        OnTheWay { destinations: self.clone(), id, ended: false }
    }

    fn end(&self, id: DestinationId, failure: Option<Failure>, trouble: bool, now: OffsetDateTime) {
        let mut known = self.known.lock();
        let health = known.entry(id).or_insert_with(|| Health::new(now));
        health.seen = now;
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

    fn withdraw(&self, id: DestinationId) {
        let mut known = self.known.lock();
        let Some(health) = known.get_mut(&id) else { return };
        health.on_the_way = health.on_the_way.saturating_sub(1);
        if health.is_forgettable() {
            known.remove(&id);
        }
    }

    /// Breakers that are not closed. What nobody has tried for long is forgotten first.
    pub fn open(&self, now: OffsetDateTime) -> usize {
        let mut known = self.known.lock();
        known.retain(|_, health| !health.is_past(now));
        known.values().filter(|health| health.breaker.state(now) != BreakerState::Closed).count()
    }
}

/// A send on its way. Dropped before it ended, because it was let go of or panicked, it says nothing of the destination.
#[derive(Debug)]
pub struct OnTheWay {
    destinations: Arc<Destinations>,
    id: DestinationId,
    ended: bool,
}

impl OnTheWay {
    /// The send ended.
    pub fn end(mut self, failure: Option<Failure>, trouble: bool, now: OffsetDateTime) {
        self.ended = true;
        self.destinations.end(self.id, failure, trouble, now);
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        if !self.ended {
            self.destinations.withdraw(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use docket_domain::resilience::breaker::THRESHOLD;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn room_of(destinations: &Destinations, id: DestinationId, now: OffsetDateTime) -> u32 {
        let room = destinations.room(100, &[], now);
        room.of.iter().find(|(known, _)| *known == id).map_or(room.each, |(_, room)| *room)
    }

    #[test]
    fn a_send_that_is_dropped_gives_its_place_back_and_says_nothing_of_the_destination() {
        let (destinations, id) = (Arc::new(Destinations::new(2)), DestinationId::of_sink("one"));
        let sends = [destinations.begin(id, NOW), destinations.begin(id, NOW)];
        assert_eq!(room_of(&destinations, id, NOW), 0);
        drop(sends);
        assert_eq!((room_of(&destinations, id, NOW), destinations.known.lock().len()), (2, 0));
    }

    #[test]
    fn trouble_is_forgotten_when_nobody_has_tried_for_long() {
        let destinations = Arc::new(Destinations::new(2));
        let (open, troubled) = (DestinationId::of_sink("open"), DestinationId::of_sink("troubled"));
        for _ in 0..THRESHOLD {
            destinations.begin(open, NOW).end(None, true, NOW);
        }
        destinations.begin(troubled, NOW).end(None, true, NOW);
        assert_eq!((room_of(&destinations, open, NOW), destinations.open(NOW)), (0, 1));
        assert_eq!(destinations.open(NOW + LONGEST_PAUSE), 1, "it is due for a probe");
        let (under_way, later) = (destinations.begin(open, NOW), NOW + REMEMBERED + Duration::SECOND);
        assert_eq!(destinations.open(later), 1, "a probe is on its way");
        assert_eq!(destinations.known.lock().len(), 1, "the other one is forgotten");
        drop(under_way);
        assert_eq!((destinations.open(later), destinations.known.lock().len()), (0, 0));
    }
}
