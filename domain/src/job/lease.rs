//! Leases: how long a worker may be silent before its jobs go to others.

use std::time::Duration;

/// The terms under which a worker holds jobs.
///
/// The end of a lease is set and compared by the database's clock alone. The worker itself only measures how long ago it
/// last renewed, by a clock that never jumps, and stops by itself when that is longer than the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// From one renewal until the worker counts as dead.
    pub length: Duration,
}

impl LeaseTerms {
    /// Renewals fail; three may before the lease ends.
    const RENEWALS: u32 = 4;

    /// How long to wait from one renewal to the next.
    pub fn renew_every(self) -> Duration {
        self.length / Self::RENEWALS
    }

    /// How long to wait from one look for dead workers to the next: their jobs wait for at most the lease and this.
    pub fn look_every(self) -> Duration {
        (self.length / 4).max(Duration::from_millis(100))
    }

    /// Whether a worker that renewed so long ago must assume that others have its jobs.
    pub fn is_over(self, since_renewal: Duration) -> bool {
        since_renewal >= self.length
    }
}
