//! Calendars in memory, which count how often they are read.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use docket::application::ports::{CalendarStore, StoreError};
use docket_domain::calendar::TenantCalendar;
use docket_domain::ids::TenantId;

/// [`CalendarStore`] in memory.
#[derive(Default)]
pub struct MemoryCalendars {
    pub calendars: Mutex<HashMap<TenantId, TenantCalendar>>,
    reads: AtomicU32,
}

impl MemoryCalendars {
    /// How often a calendar was read.
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl CalendarStore for MemoryCalendars {
    async fn calendar(&self, tenant: TenantId) -> Result<TenantCalendar, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let found = self.calendars.lock().unwrap().get(&tenant).cloned();
        Ok(found.unwrap_or_else(|| TenantCalendar::unset(tenant)))
    }
}
