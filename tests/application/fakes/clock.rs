//! A clock that stands still until a test moves it, and ids that count up.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use docket::application::ports::Clock;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// [`Clock`] under the test's control.
pub struct FrozenClock {
    now: Mutex<OffsetDateTime>,
    ids: AtomicU64,
}

impl FrozenClock {
    /// A clock at 2026-11-21 10:00 UTC.
    pub fn new() -> Self {
        Self { now: Mutex::new(datetime!(2026-11-21 10:00 UTC)), ids: AtomicU64::new(1) }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap() += by;
    }
}

impl Default for FrozenClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> OffsetDateTime {
        *self.now.lock().unwrap()
    }

    fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.now().unix_timestamp_nanos() / 1_000_000).unwrap();
        let count = self.ids.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 10];
        bytes[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }
}
