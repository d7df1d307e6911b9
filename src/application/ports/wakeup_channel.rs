//! The port that carries hints between processes: "this tenant has a new event".

use async_trait::async_trait;
use docket_domain::ids::TenantId;

use super::StoreError;

/// Carries hints.
///
/// Contract: hints may be lost, doubled and late; nothing may depend on them but speed. `announce` is never called inside a
/// transaction of business.
#[async_trait]
pub trait WakeupChannel: Send + Sync + 'static {
    /// Tells the other processes.
    async fn announce(&self, tenants: &[TenantId]) -> Result<(), StoreError>;
    /// Opens an ear; it hears what is announced from now on.
    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError>;
}

/// Hears hints.
#[async_trait]
pub trait Ear: Send {
    /// The next hint; an error means that some may have been missed.
    async fn next(&mut self) -> Result<TenantId, StoreError>;
}
