//! The port that carries hints between processes: "this tenant has a new event".

use async_trait::async_trait;
use docket_domain::ids::TenantId;

use super::StoreError;

/// A hint of another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Whose event it is.
    pub tenant: TenantId,
    /// Whether the process that committed it hands it on itself.
    pub handed_on: bool,
}

/// Carries hints.
///
/// Contract: hints may be lost, doubled and late; nothing may depend on them but speed. A process does not hear itself.
/// `announce` is never called inside a transaction of business.
#[async_trait]
pub trait WakeupChannel: Send + Sync + 'static {
    /// Tells the other processes; `handed_on` says that this one hands the events on.
    async fn announce(&self, tenants: &[TenantId], handed_on: bool) -> Result<(), StoreError>;
    /// Opens an ear; it hears what is announced from now on.
    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError>;
}

/// Hears hints.
#[async_trait]
pub trait Ear: Send {
    /// The next hint; an error means that some may have been missed.
    async fn next(&mut self) -> Result<Announcement, StoreError>;
}
