//! The port for what the database knows of stored content: which is attached where, and which is not used any more.

use async_trait::async_trait;

use super::StoreError;
use super::blob_store::ContentAddress;
use super::case_reader::Viewer;

/// Content that is attached to a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownContent {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Media type, as detected when it came in.
    pub media_type: String,
    /// A name under which it is attached.
    pub file_name: String,
}

/// Content that no case uses, held so that no request can begin to use it meanwhile.
#[async_trait]
pub trait UnusedContent: Send {
    /// Ends the hold after the bytes were removed; the row, if there was one, goes with them. Dropping the hold instead
    /// changes nothing.
    async fn forget(self: Box<Self>) -> Result<(), StoreError>;
}

/// Looks after the rows of evidence.
///
/// Contract: `visible_content` gives only content that is attached to a case which the viewer may see. While a hold of
/// `hold_unused` lasts, committing an attachment of this content waits for its end.
#[async_trait]
pub trait EvidenceIndex: Send + Sync + 'static {
    /// Content by its hash.
    async fn visible_content(&self, viewer: Viewer, sha256: [u8; 32]) -> Result<Option<KnownContent>, StoreError>;
    /// A hold on content that no case uses; none when one does.
    async fn hold_unused(&self, content: ContentAddress) -> Result<Option<Box<dyn UnusedContent>>, StoreError>;
}
