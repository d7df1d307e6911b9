//! What a failed attempt means for the event: try again, give it up, or stop talking to the destination.

use time::Duration;

use super::retry::{Schedule, at_least};

/// How an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The destination could not be reached, did not answer in time, or said that it is not able to at the moment.
    Outage {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The destination answered and did not take the event.
    Rejected {
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The destination says that it is gone for good.
    Gone,
}

/// What happens to the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again.
    Retry {
        /// Failed attempts that count from now on.
        attempts: u16,
        /// After this time.
        after: Duration,
    },
    /// It is given up and parks its case until somebody redrives or skips it.
    Dead {
        /// Failed attempts.
        attempts: u16,
    },
    /// It waits, uncounted, and the destination is disabled.
    Disable,
}

/// Judges a failure. `attempts` are those that failed and counted before; `took_another` says whether the destination took
/// another event between this one's failure before and this attempt.
///
/// An outage counts only then: a destination that takes others is not down, and an event that makes it hang must not be tried
/// for ever. Without such a sign nobody can tell, and the event waits for as long as the outage lasts. It is tried again soon
/// each time; the breaker is what leaves the destination alone.
pub fn judge(attempts: u16, failure: Failure, took_another: bool, schedule: Schedule, jitter: f64) -> Verdict {
    let retry_after = match failure {
        Failure::Gone => return Verdict::Disable,
        Failure::Outage { retry_after } | Failure::Rejected { retry_after } => retry_after,
    };
    if matches!(failure, Failure::Outage { .. }) && !took_another {
        let planned = schedule.wait(1, jitter).unwrap_or(Duration::SECOND);
        return Verdict::Retry { attempts, after: at_least(planned, retry_after) };
    }
    let attempts = attempts.saturating_add(1);
    match schedule.wait(attempts, jitter) {
        Some(planned) => Verdict::Retry { attempts, after: at_least(planned, retry_after) },
        None => Verdict::Dead { attempts },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTAGE: Failure = Failure::Outage { retry_after: None };
    const REJECTED: Failure = Failure::Rejected { retry_after: None };

    #[test]
    fn an_event_that_is_rejected_climbs_the_ladder_and_dies_at_its_end() {
        let mut attempts = 0;
        for _ in 1..Schedule::WEBHOOK.attempts() {
            let Verdict::Retry { attempts: counted, .. } = judge(attempts, REJECTED, false, Schedule::WEBHOOK, 0.5)
            else {
                panic!("too early")
            };
            assert_eq!(counted, attempts + 1);
            attempts = counted;
        }
        let last = judge(attempts, REJECTED, true, Schedule::WEBHOOK, 0.5);
        assert_eq!(last, Verdict::Dead { attempts: 8 });
    }

    #[test]
    fn an_outage_burns_an_attempt_only_if_the_destination_took_something_else_meanwhile() {
        for attempts in [0, 7] {
            let verdict = judge(attempts, OUTAGE, false, Schedule::WEBHOOK, 0.5);
            assert_eq!(verdict, Verdict::Retry { attempts, after: Duration::seconds(5) });
        }
        let climbing = judge(1, OUTAGE, true, Schedule::WEBHOOK, 0.5);
        assert_eq!(climbing, Verdict::Retry { attempts: 2, after: Duration::minutes(5) });
        assert_eq!(judge(7, OUTAGE, true, Schedule::WEBHOOK, 0.5), Verdict::Dead { attempts: 8 });
    }

    #[test]
    fn the_receiver_is_left_alone_for_as_long_as_it_asks() {
        let failure = Failure::Rejected { retry_after: Some(Duration::minutes(3)) };
        let verdict = judge(0, failure, false, Schedule::WEBHOOK, 0.5);
        assert_eq!(verdict, Verdict::Retry { attempts: 1, after: Duration::minutes(3) });
        assert_eq!(judge(0, Failure::Gone, true, Schedule::WEBHOOK, 0.5), Verdict::Disable);
    }
}
