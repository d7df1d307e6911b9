//! API keys in memory, counting how often they are looked up and touched.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use docket::application::ports::StoreError;
use docket::application::ports::key_store::{KeyRecord, KeyStore};
use docket_domain::ids::{ApiKeyId, TenantId};
use time::OffsetDateTime;

/// [`KeyStore`] in memory.
#[derive(Default)]
pub struct MemoryKeys {
    records: Mutex<HashMap<String, KeyRecord>>,
    lookups: AtomicU32,
    touches: AtomicU32,
}

impl MemoryKeys {
    /// Adds or replaces a key.
    pub fn put(&self, prefix: &str, record: KeyRecord) {
        self.records.lock().unwrap().insert(prefix.to_owned(), record);
    }

    /// How often a key was looked up.
    pub fn lookups(&self) -> u32 {
        self.lookups.load(Ordering::SeqCst)
    }

    /// How often a use was noted.
    pub fn touches(&self) -> u32 {
        self.touches.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyStore for MemoryKeys {
    async fn find(&self, prefix: &str) -> Result<Option<KeyRecord>, StoreError> {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        Ok(self.records.lock().unwrap().get(prefix).cloned())
    }

    async fn touch(&self, _: TenantId, _: ApiKeyId, _: OffsetDateTime) -> Result<(), StoreError> {
        self.touches.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}
