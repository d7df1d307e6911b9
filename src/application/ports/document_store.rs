//! The port for documents and collections: look up, list, and what the job that reads a document writes.
//! Creating, replacing and deleting them are acts on the tenant's chain ([`super::tenancy_store::Effect`]).

use async_trait::async_trait;
use docket_domain::case::Confidentiality;
use docket_domain::document::{Chunk, Collection, Document, DocumentStatus, Failure};
use docket_domain::ids::{CollectionId, DocumentId, TenantId};
use docket_domain::job::JobLease;

use super::StoreError;
use super::case_reader::Viewer;

/// Where a document is looked for: within what, and under which name or content.
#[derive(Debug, Clone)]
pub struct Place {
    /// The collection.
    pub collection: CollectionId,
    /// The confidentiality, which is part of the name.
    pub confidentiality: Confidentiality,
}

/// Which documents a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Of this collection.
    pub collection: Option<CollectionId>,
    /// In this state.
    pub status: Option<DocumentStatus>,
}

/// The text that was read in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentText {
    /// The reading it comes from.
    pub generation: u32,
    /// The text.
    pub text: String,
    /// Where each page begins, in code points.
    pub page_starts: Vec<u32>,
}

/// A passage with its embedding, if that is known already.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// The passage.
    pub chunk: Chunk,
    /// 384 numbers.
    pub embedding: Option<Vec<f32>>,
}

/// What was read in a version of a document, ready to become what searches see.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which document.
    pub document_id: DocumentId,
    /// Of which version; becomes the generation.
    pub version: u32,
    /// What the document calls itself; none keeps the title it has.
    pub title: Option<String>,
    /// The language it says it is in.
    pub language: Option<String>,
    /// The text.
    pub text: DocumentText,
    /// The passages in order.
    pub chunks: Vec<NewChunk>,
}

/// What came of publishing a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Searches see it, and the job has ended.
    Done,
    /// The document was replaced or deleted meanwhile; nothing was written.
    Outdated,
    /// Another worker has the job by now; nothing was written.
    LeaseLost,
}

/// Keeps documents.
///
/// Contract: every method sees only the given tenant, and `list` applies the visibility predicate of
/// `docket_domain::document::visibility` in the store; `get` and `find_*` leave that to the caller. `publish` and `fail`
/// are one transaction each together with the end of the job: text, passages and the document's state change at once, and
/// what was there before is gone with it, or nothing changes at all.
#[async_trait]
pub trait DocumentStore: Send + Sync + 'static {
    /// A document.
    async fn get(&self, tenant: TenantId, id: DocumentId) -> Result<Option<Document>, StoreError>;
    /// Documents older than `before`, newest first, at most `limit`.
    async fn list(
        &self,
        viewer: Viewer,
        filter: &DocumentFilter,
        before: Option<DocumentId>,
        limit: u32,
    ) -> Result<Vec<Document>, StoreError>;
    /// The document that came under this name.
    async fn find_source(&self, tenant: TenantId, at: &Place, source: &str) -> Result<Option<Document>, StoreError>;
    /// A document with this content, oldest first.
    async fn find_content(
        &self,
        tenant: TenantId,
        at: &Place,
        sha256: [u8; 32],
    ) -> Result<Option<Document>, StoreError>;
    /// A collection by its name.
    async fn collection(&self, tenant: TenantId, name: &str) -> Result<Option<Collection>, StoreError>;
    /// Every collection, by name.
    async fn collections(&self, tenant: TenantId) -> Result<Vec<Collection>, StoreError>;
    /// The text that was read in a document.
    async fn text(&self, tenant: TenantId, id: DocumentId) -> Result<Option<DocumentText>, StoreError>;
    /// Says that this version is being read; false when the document has another by now, or is gone, or this version was
    /// read or failed already: a failure ends its job, so whoever begins after it lost that job.
    async fn begin(&self, tenant: TenantId, id: DocumentId, version: u32) -> Result<bool, StoreError>;
    /// Makes a reading what searches see.
    async fn publish(&self, reading: &Reading, completes: JobLease) -> Result<Published, StoreError>;
    /// Says why this version could not be read; what was read of the one before stays.
    async fn fail(
        &self,
        tenant: TenantId,
        id: DocumentId,
        version: u32,
        failure: &Failure,
        completes: JobLease,
    ) -> Result<Published, StoreError>;
}
