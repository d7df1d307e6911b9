//! The port for removing what is no longer needed, over all tenants, a batch at a time.

use async_trait::async_trait;
use time::Duration;

use super::StoreError;

/// Removes rows whose time is over.
///
/// Contract: each call removes at most `limit` rows, oldest first, in one short transaction, waits for nobody, and says how
/// many; fewer than `limit` means that nothing is left for now. Ages are measured by the store's clock.
#[async_trait]
pub trait Housekeeping: Send + Sync + 'static {
    /// Removes idempotency keys that expired.
    async fn purge_idempotency_keys(&self, limit: u32) -> Result<u64, StoreError>;
    /// Removes jobs that ended so long ago; dead letters have an age of their own.
    async fn purge_finished_jobs(&self, age: Duration, dead_age: Duration, limit: u32) -> Result<u64, StoreError>;
    /// Removes lines of the delivery logs that are so old.
    async fn purge_delivery_attempts(&self, age: Duration, limit: u32) -> Result<u64, StoreError>;
    /// Removes notes of passages that were removed longer than `age` ago.
    async fn purge_chunk_deletions(&self, age: Duration, limit: u32) -> Result<u64, StoreError>;
}
