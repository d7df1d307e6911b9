//! How long to wait before the next attempt: a fixed ladder with jitter, and what the receiver asks for.

use time::Duration;

/// Waits between attempts; after the last one the event is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    waits: &'static [Duration],
}

/// The longest `Retry-After` that is honoured; a receiver that asks for more is asked again after this.
pub const RETRY_AFTER_MAX: Duration = Duration::hours(24);

impl Schedule {
    /// Webhooks: 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 10 h (the ladder that the Standard Webhooks specification suggests).
    pub const WEBHOOK: Self = Self {
        waits: &[
            Duration::seconds(5),
            Duration::minutes(5),
            Duration::minutes(30),
            Duration::hours(2),
            Duration::hours(5),
            Duration::hours(10),
            Duration::hours(10),
        ],
    };

    /// Sinks of the operator's own: 1 s to 1 h, because whoever runs them also runs the service.
    pub const SINK: Self = Self {
        waits: &[
            Duration::seconds(1),
            Duration::seconds(5),
            Duration::seconds(30),
            Duration::minutes(2),
            Duration::minutes(10),
            Duration::hours(1),
        ],
    };

    /// Attempts in all: one more than there are waits.
    pub const fn attempts(self) -> usize {
        self.waits.len() + 1
    }

    /// The wait after `failed` failed attempts; none when that was the last one. `jitter` in 0..=1 spreads it over -10 % to
    /// +10 %, so that what failed together does not return together.
    pub fn wait(self, failed: u16, jitter: f64) -> Option<Duration> {
        let base = self.waits.get(usize::from(failed).checked_sub(1)?)?;
        Some(*base * (0.9 + 0.2 * jitter.clamp(0.0, 1.0)))
    }
}

/// What the receiver asked for (RFC 9110, section 10.2.3), within bounds: never earlier than planned.
pub fn at_least(planned: Duration, retry_after: Option<Duration>) -> Duration {
    retry_after.map_or(planned, |asked| asked.min(RETRY_AFTER_MAX).max(planned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_walked_once_with_a_tenth_of_jitter() {
        let plain = |failed| Schedule::WEBHOOK.wait(failed, 0.5).map(Duration::whole_seconds);
        let waits: Vec<_> = (1..=7).filter_map(plain).collect();
        assert_eq!(waits, [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]);
        assert_eq!((plain(0), plain(8), Schedule::WEBHOOK.attempts()), (None, None, 8));
        assert_eq!(Schedule::WEBHOOK.wait(2, 0.0), Some(Duration::seconds(270)));
        assert_eq!(Schedule::WEBHOOK.wait(2, 7.0), Some(Duration::seconds(330)));
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_less_and_not_for_ever() {
        let planned = Duration::seconds(5);
        assert_eq!(at_least(planned, None), planned);
        assert_eq!(at_least(planned, Some(Duration::seconds(1))), planned);
        assert_eq!(at_least(planned, Some(Duration::minutes(2))), Duration::minutes(2));
        assert_eq!(at_least(planned, Some(Duration::weeks(9))), RETRY_AFTER_MAX);
    }
}
