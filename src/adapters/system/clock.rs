//! The machine's clock, hardly ever going back, and the identifiers made from it.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

use crate::application::ports::Clock;

/// How far the machine's clock may go back before it is believed, in microseconds.
const HELD: i64 = 10_000_000;

/// The wall clock of the machine. When the machine's clock is set back a little, as time servers do, `now` stands still until
/// it has caught up, so that the order of events in one process does not contradict their times. Set back by more than ten
/// seconds, the machine was wrong before: then `now` follows, or signatures and tokens would be judged by a wrong time for as
/// long as it was wrong by.
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
        let latest = self.latest.load(Ordering::Acquire);
        if micros < latest - HELD
            && self.latest.compare_exchange(latest, micros, Ordering::AcqRel, Ordering::Acquire).is_ok()
        {
            tracing::warn!(seconds = (latest - micros) / 1_000_000, "the machine's clock was set back; following it");
            return micros;
        }
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
    fn time_stands_still_while_the_machine_is_set_back_a_little_and_follows_when_it_was_wrong_by_much() {
        let clock = SystemClock::new();
        let before = clock.now();
        let read = |machine: OffsetDateTime| {
            let nanos = i128::from(clock.microseconds(machine)) * 1_000;
            OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap()
        };
        assert_eq!(read(before - time::Duration::seconds(9)), before);
        assert_eq!(before.nanosecond() % 1_000, 0, "PostgreSQL stores microseconds");
        let an_hour_back = before - time::Duration::hours(1);
        assert_eq!(read(an_hour_back), an_hour_back);
        assert_eq!(read(an_hour_back - time::Duration::seconds(1)), an_hour_back, "from there on it is held again");
    }
}
