//! The circuit breaker of one destination: after failures in a row it is left alone for a while, then tried with one
//! event or call.
//!
//! States and names after Nygard, "Release It!", chapter "Circuit Breaker". Time is handed in; the breaker has no clock.

use time::{Duration, OffsetDateTime};

/// Failures in a row that open a breaker.
pub const THRESHOLD: u32 = 5;
/// How long it stays open the first time.
pub const FIRST_PAUSE: Duration = Duration::seconds(5);
/// How long at most; each failed probe doubles the pause up to here.
pub const LONGEST_PAUSE: Duration = Duration::minutes(5);

/// Whether a destination may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// As much as there is.
    Closed,
    /// Not at all.
    Open,
    /// One event or call, to see whether it is back.
    HalfOpen,
}

/// What is known of a destination's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    failures: u32,
    /// When the pause is over, and how long it was; none while closed.
    pause: Option<(OffsetDateTime, Duration)>,
}

impl Breaker {
    /// What may be tried now.
    pub fn state(&self, now: OffsetDateTime) -> BreakerState {
        match self.pause {
            None => BreakerState::Closed,
            // A pause that has more left than it ever had is that of a clock which has been set back since.
            Some((until, length)) if now < until && until - now <= length => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// When the pause ends, if it is open.
    pub fn open_until(&self) -> Option<OffsetDateTime> {
        self.pause.map(|(until, _)| until)
    }

    /// The destination answered: it is there, whatever it said.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The destination could not be reached or was not able to answer.
    pub fn failed(&mut self, now: OffsetDateTime) {
        self.failures = self.failures.saturating_add(1);
        match self.pause {
            None if self.failures >= THRESHOLD => self.pause = Some((now + FIRST_PAUSE, FIRST_PAUSE)),
            // A failure of an event that was on its way when the breaker opened says nothing new.
            Some((_, length)) if self.state(now) == BreakerState::HalfOpen => {
                let longer = (length * 2_i32).min(LONGEST_PAUSE);
                self.pause = Some((now + longer, longer));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_make_the_pause_longer() {
        let opened = OffsetDateTime::UNIX_EPOCH + Duration::hours(2);
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            breaker.failed(opened);
        }
        assert_eq!(breaker.state(opened + Duration::seconds(1)), BreakerState::Open);
        let set_back = opened - Duration::hours(1);
        assert_eq!(breaker.state(set_back), BreakerState::HalfOpen);
        breaker.failed(set_back);
        assert_eq!(breaker.state(set_back + FIRST_PAUSE), BreakerState::Open, "the next pause is of the new time");
        assert_eq!(breaker.state(set_back + FIRST_PAUSE * 2), BreakerState::HalfOpen);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_probes_after_a_pause_and_closes_on_an_answer() {
        let mut now = OffsetDateTime::UNIX_EPOCH;
        let mut breaker = Breaker::default();
        for _ in 1..THRESHOLD {
            breaker.failed(now);
        }
        breaker.answered();
        for _ in 1..THRESHOLD {
            breaker.failed(now);
        }
        assert_eq!(breaker.state(now), BreakerState::Closed, "the answer in between began the count anew");
        breaker.failed(now);
        breaker.failed(now);
        assert_eq!((breaker.state(now), breaker.open_until()), (BreakerState::Open, Some(now + FIRST_PAUSE)));
        for pauses in 1..12 {
            now = breaker.open_until().expect("open");
            assert_eq!(breaker.state(now), BreakerState::HalfOpen);
            breaker.failed(now);
            let expected = (FIRST_PAUSE * 2_i32.pow(pauses)).min(LONGEST_PAUSE);
            assert_eq!(breaker.open_until(), Some(now + expected));
        }
        breaker.answered();
        assert_eq!(breaker, Breaker::default());
    }
}
