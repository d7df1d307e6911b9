//! The port for the bytes of evidence: staged under a temporary name, promoted to the address of their content.

use std::ops::Range;
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use docket_domain::ids::TenantId;
use futures::Stream;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Bytes as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, StoreError>> + Send>>;

/// Where content lies: SHA-256 of its bytes, in its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentAddress {
    /// Whose it is; equal bytes of two tenants are stored twice, so that no tenant learns of another's.
    pub tenant_id: TenantId,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
}

/// What a stored object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredObject {
    /// Content at its address.
    Content(ContentAddress),
    /// Bytes that are on their way in, or were left behind by a process that died.
    Staged(Uuid),
}

/// A stored object and its age.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// What it is.
    pub object: StoredObject,
    /// When it was written last.
    pub stored_at: OffsetDateTime,
}

/// Bytes being staged. Dropping it without `finish` leaves at most an unfinished object, which the sweeper removes.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next bytes; waits when the store is slower than the sender.
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError>;
    /// Makes the staged bytes durable.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// Keeps bytes.
///
/// Contract: `finish` and `promote` are durable when they return; `promote` is atomic, replaces equal content and makes it
/// young again (see `Listed::stored_at`), and leaves the staged bytes in place until `discard`. Reading never gives
/// staged bytes. `delete` and `discard` of what is not there succeed. Memory use does not grow with the size of an object.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Begins to stage bytes under a fresh name.
    async fn stage(&self, staged: Uuid) -> Result<Box<dyn Upload>, StoreError>;
    /// A part of staged bytes.
    async fn read_staged(&self, staged: Uuid, range: Range<u64>) -> Result<Bytes, StoreError>;
    /// Gives staged bytes the address of their content.
    async fn promote(&self, staged: Uuid, to: ContentAddress) -> Result<(), StoreError>;
    /// Forgets staged bytes.
    async fn discard(&self, staged: Uuid) -> Result<(), StoreError>;
    /// The size of content in bytes; none when it is not there.
    async fn size(&self, content: ContentAddress) -> Result<Option<u64>, StoreError>;
    /// A part of content; none when it is not there.
    async fn read(&self, content: ContentAddress, range: Range<u64>) -> Result<Option<ByteStream>, StoreError>;
    /// Removes content.
    async fn delete(&self, content: ContentAddress) -> Result<(), StoreError>;
    /// Everything that is stored, in no order. Objects with names of no known form are left out.
    fn list(&self) -> Pin<Box<dyn Stream<Item = Result<Listed, StoreError>> + Send + '_>>;
}
