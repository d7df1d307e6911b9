//! The port for passages: read them, and give them their embeddings.

use async_trait::async_trait;
use docket_domain::document::Chunk;
use docket_domain::ids::{ChunkId, DocumentId, TenantId};

use super::StoreError;
use super::case_reader::Viewer;

/// Numbers in an embedding.
pub const DIMENSIONS: usize = 384;

/// A passage that has no embedding yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unembedded {
    /// Which.
    pub id: ChunkId,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
    /// As in [`Chunk`].
    pub content_sha256: [u8; 32],
}

/// Keeps passages.
///
/// Contract: every method sees only the given tenant; `of_document` and `by_ids` apply the visibility predicate in the
/// store. Passages are written by [`super::DocumentStore::publish`] and never change but for their embedding.
#[async_trait]
pub trait ChunkStore: Send + Sync + 'static {
    /// The passages of a document from this place on, in order, at most `limit`.
    async fn of_document(
        &self,
        viewer: Viewer,
        document: DocumentId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<Chunk>, StoreError>;
    /// Passages by their ids, in no order; those that are gone or may not be seen are missing.
    async fn by_ids(&self, viewer: Viewer, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError>;
    /// Embeddings that this tenant's passages of equal content have.
    async fn known_embeddings(
        &self,
        tenant: TenantId,
        contents: &[[u8; 32]],
    ) -> Result<Vec<([u8; 32], Vec<f32>)>, StoreError>;
    /// Passages without an embedding, oldest first, at most `limit`.
    async fn without_embedding(&self, tenant: TenantId, limit: u32) -> Result<Vec<Unembedded>, StoreError>;
    /// Gives passages their embeddings; those that are gone by now are passed over. How many there were.
    async fn set_embeddings(&self, tenant: TenantId, embeddings: &[(ChunkId, Vec<f32>)]) -> Result<u64, StoreError>;
}
