//! The port for the origin of stored vectors: which model made them.

use async_trait::async_trait;
use docket_domain::ids::{ChunkId, TenantId};

use super::StoreError;

/// Knows by which model the stored vectors of all tenants were made.
///
/// Contract: there is one such model at any time, and it changes only once none of the vectors of the one before is left.
#[async_trait]
pub trait VectorOrigin: Send + Sync + 'static {
    /// Whether the stored vectors are of the model of this identity; where none is known, it is the one from now on.
    async fn claim(&self, identity: &str) -> Result<bool, StoreError>;
    /// Takes out the vectors of at most `limit` passages behind `after`; where that ended. None: there are no more, and the model is
    /// the one of this identity.
    async fn forget(
        &self,
        identity: &str,
        after: (TenantId, ChunkId),
        limit: u32,
    ) -> Result<Option<(TenantId, ChunkId)>, StoreError>;
}
