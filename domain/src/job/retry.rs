//! Retries: exponential backoff with full jitter, and when to give up.

use std::time::Duration;

/// How a kind of job is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first one included; at least 1.
    pub max_attempts: u32,
    /// The longest wait before the second attempt; twice as long before each further one.
    pub base: Duration,
    /// The longest wait before any attempt.
    pub cap: Duration,
}

impl Default for RetryPolicy {
    /// Eight attempts over about an hour and a half at most.
    fn default() -> Self {
        Self { max_attempts: 8, base: Duration::from_secs(10), cap: Duration::from_mins(30) }
    }
}

/// What becomes of a job after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Tried again after this long.
    Retry(Duration),
    /// Not tried again.
    Dead,
}

impl RetryPolicy {
    /// One attempt, no second.
    pub const ONCE: Self = Self { max_attempts: 1, base: Duration::ZERO, cap: Duration::ZERO };

    /// The longest wait after the given attempt failed: `min(cap, base * 2^(attempt - 1))`.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// The wait after the given attempt failed: a random part of [`RetryPolicy::ceiling`] ("full jitter"), so that jobs
    /// that failed together do not come back together. `random` is uniform over all 64-bit numbers.
    ///
    /// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let micros = self.ceiling(attempt).as_micros();
        // A 64-bit fraction times the ceiling; exact in 128 bits for ceilings of up to 2^64 microseconds.
        let part = (micros * u128::from(random)) >> 64;
        Duration::from_micros(u64::try_from(part).unwrap_or(u64::MAX))
    }

    /// What becomes of a job whose given attempt failed; a failure that would only repeat itself is final at once, and
    /// `at_least` (what a server asked for by Retry-After, say) is waited for in any case.
    pub fn judge(&self, attempt: u32, worth_a_try: bool, at_least: Option<Duration>, random: u64) -> Verdict {
        if !worth_a_try || attempt >= self.max_attempts {
            return Verdict::Dead;
        }
        Verdict::Retry(self.delay(attempt, random).max(at_least.unwrap_or_default()))
    }

    /// Whether a job may be begun for the given attempt. One that was begun too often without ever ending (its workers
    /// died with it, or hung) must not take down the next worker, too.
    pub const fn may_begin(&self, attempt: u32) -> bool {
        attempt <= self.max_attempts
    }
}
