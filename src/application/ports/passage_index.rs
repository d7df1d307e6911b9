//! The port for finding passages by meaning, and for reading those that were found.

use async_trait::async_trait;
use docket_domain::case::Confidentiality;
use docket_domain::document::Chunk;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, TenantId};

use super::StoreError;
use super::case_reader::Viewer;

/// Which passages a search is about; an empty list is no restriction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassageFilter {
    /// Only of this collection.
    pub collection: Option<CollectionId>,
    /// Only of these documents.
    pub documents: Vec<DocumentId>,
    /// Only of these confidentialities.
    pub confidentialities: Vec<Confidentiality>,
}

/// How the nearest passages were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every vector of the tenant was compared.
    Exact,
    /// By the approximate index.
    Hnsw,
}

impl Method {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Hnsw => "hnsw",
        }
    }
}

/// The passages whose meaning is nearest.
#[derive(Debug, Clone, PartialEq)]
pub struct Nearest {
    /// Passages with their cosine similarity, best first.
    pub hits: Vec<(ChunkId, f64)>,
    /// How they were found.
    pub method: Method,
}

/// A passage with what a reader wants to know of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The passage.
    pub chunk: Chunk,
    /// The title of its document.
    pub title: String,
    /// Its embedding, if it has one.
    pub embedding: Option<Vec<f32>>,
}

/// Finds passages by meaning.
///
/// Contract: everything but names of collections is seen only as far as `viewer` may see it, by the predicate of `docket_domain::document::visibility` in the store
/// itself, as of now. `nearest` compares with vectors of length one, and passages without an embedding are not found. `found` gives
/// what is there in no order: it has the last word on what other indexes found, because only the store is never behind.
#[async_trait]
pub trait PassageIndex: Send + Sync + 'static {
    /// The collection of this name.
    async fn collection(&self, tenant: TenantId, name: &str) -> Result<Option<CollectionId>, StoreError>;
    /// At most `limit` passages whose embeddings are nearest to `query`.
    async fn nearest(
        &self,
        viewer: Viewer,
        query: &[f32],
        filter: &PassageFilter,
        limit: u32,
    ) -> Result<Nearest, StoreError>;
    /// These passages, as far as they exist and may be seen.
    async fn found(&self, viewer: Viewer, ids: &[ChunkId]) -> Result<Vec<Found>, StoreError>;
}
