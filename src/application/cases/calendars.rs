//! The working-day calendars that deadlines are reckoned by, remembered for a moment so that a write costs no round trip.
//!
//! A calendar that an administrator changed on this node holds at once; other nodes follow when their memory runs out.

use std::sync::Arc;
use std::time::Duration;

use docket_domain::calendar::Calendar;
use docket_domain::ids::TenantId;
use moka::future::Cache;

use crate::application::ports::{CalendarStore, StoreError};

/// How long a calendar is used before it is read again.
pub const CALENDAR_AGE: Duration = Duration::from_secs(10);
/// How many tenants' calendars are remembered at most.
const CAPACITY: u64 = 10_000;

/// The calendars; one per process, shared by who writes cases and who changes calendars.
#[derive(Clone)]
pub struct Calendars {
    store: Arc<dyn CalendarStore>,
    memory: Cache<TenantId, Arc<Calendar>>,
}

impl Calendars {
    /// Over a store; a calendar is remembered for `age` (zero: not at all).
    pub fn new(store: Arc<dyn CalendarStore>, age: Duration) -> Self {
        Self { store, memory: Cache::builder().max_capacity(CAPACITY).time_to_live(age).build() }
    }

    /// What a tenant's deadlines are reckoned by. Requests that miss together read once.
    pub async fn rules(&self, tenant: TenantId) -> Result<Arc<Calendar>, StoreError> {
        let read = async { Ok(Arc::new(self.store.calendar(tenant).await?.rules())) };
        self.memory.try_get_with(tenant, read).await.map_err(|error: Arc<StoreError>| error.again())
    }

    /// Reads a tenant's calendar again the next time.
    pub async fn forget(&self, tenant: TenantId) {
        self.memory.invalidate(&tenant).await;
    }

    /// Where they are kept.
    pub fn store(&self) -> &dyn CalendarStore {
        self.store.as_ref()
    }
}
