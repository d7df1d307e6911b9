//! The machine's clock, never going back, and the identifiers made from it.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::application::ports::Clock;

/// The wall clock of the machine. When the machine's clock is set back, `now` stands still until it has caught up, so
/// that the order of events in one process never contradicts their times.
#[derive(Debug)]
pub struct SystemClock {
    /// The latest instant handed out, in microseconds since 1970.
    latest: AtomicI64,
    /// How far this clock is off the machine's; zero but in tests.
    shifted_by: time::Duration,
    /// Keeps identifiers of the same millisecond in the order of their creation (RFC 9562, section 6.2).
    counter: parking_lot::Mutex<ContextV7>,
}

impl SystemClock {
    /// A clock that reads the machine's.
    pub fn new() -> Self {
        Self::shifted(time::Duration::ZERO)
    }

    /// A clock that is wrong by so much: what a node with a bad clock would read.
    pub fn shifted(shifted_by: time::Duration) -> Self {
        let counter = parking_lot::Mutex::new(ContextV7::new());
        Self { latest: AtomicI64::new(0), shifted_by, counter }
    }

    fn microseconds(&self, machine: OffsetDateTime) -> i64 {
        let micros = i64::try_from(machine.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        self.latest.fetch_max(micros, Ordering::AcqRel).max(micros)
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        #[allow(clippy::disallowed_methods, reason = "this is the adapter that the ban points to")]
        let machine = OffsetDateTime::now_utc() + self.shifted_by;
        let micros = self.microseconds(machine);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }

    fn new_id(&self) -> Uuid {
        let counter = self.counter.lock();
        let now = self.now();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
        Uuid::new_v7(Timestamp::from_unix(&*counter, seconds, now.nanosecond()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn identifiers_sort_by_their_creation_also_within_a_millisecond() {
        let clock = SystemClock::new();
        let ids: Vec<Uuid> = (0..10_000).map(|_| clock.new_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(ids[0].get_version_num(), 7);
    }

    #[test]
    fn time_stands_still_while_the_machine_is_set_back() {
        let clock = SystemClock::new();
        let before = clock.now();
        let an_hour_back = clock.now() - time::Duration::hours(1);
        let nanos = i128::from(clock.microseconds(an_hour_back)) * 1_000;
        assert!(OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap() >= before);
        assert_eq!(clock.now().nanosecond() % 1_000, 0, "PostgreSQL stores microseconds");
    }
}
