//! The ports for finding passages by their words: the index, and what it follows.

use async_trait::async_trait;
use docket_domain::case::Confidentiality;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use uuid::Uuid;

use super::StoreError;
use super::case_reader::Viewer;
use super::passage_index::PassageFilter;

/// A passage as the index knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordEntry {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which.
    pub chunk_id: ChunkId,
    /// Of which document.
    pub document_id: DocumentId,
    /// Of which reading of it.
    pub generation: u32,
    /// In which collection.
    pub collection_id: CollectionId,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// Who brought it.
    pub created_by: PrincipalId,
    /// The headings above it and its text.
    pub text: String,
}

/// A change of the passages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeywordChange {
    /// A reading of a document is gone.
    Remove {
        /// Whose.
        tenant_id: TenantId,
        /// Of which document.
        document_id: DocumentId,
        /// Which reading.
        generation: u32,
    },
    /// A passage is new.
    Add(KeywordEntry),
}

/// An index of the words of passages, a projection of the store that may be thrown away at any time.
///
/// Contract: tenants share nothing, not even statistics, so that no score says anything about another tenant. `search` gives
/// only what `viewer` may see as far as the index knows; the caller asks the store again, because the index follows it with a delay.
/// The score is BM25 with k1 1.2 and b 0.75 and Lucene's idf. Calls take milliseconds and block: call them on a thread that may.
/// To add one: implement it below `adapters` and run tests/knowledge with it.
pub trait KeywordIndex: Send + Sync + 'static {
    /// At most `limit` passages that share words with `text`, best first. Every character of `text` is a word or nothing: there is no syntax.
    fn search(
        &self,
        viewer: Viewer,
        text: &str,
        filter: &PassageFilter,
        limit: usize,
    ) -> Result<Vec<(ChunkId, f64)>, StoreError>;
    /// Takes changes in, in this order; searches see them when it returns.
    fn apply(&self, changes: Vec<KeywordChange>) -> Result<(), StoreError>;
    /// From now on changes go into an empty index beside the one that searches see.
    fn start_over(&self);
    /// Makes what was built since [`Self::start_over`] what searches see.
    fn publish(&self);
    /// Grows whenever searches of this tenant may find something else than before; never falls. Read before a search, it dates what
    /// the search finds.
    fn generation(&self, tenant: TenantId) -> u64;
    /// How many passages searches see, of all tenants.
    fn passages(&self) -> u64;
}

/// How far an index has followed the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// The transaction and the passage that were taken last.
    pub added: (u64, Uuid),
    /// The transaction, the document and the reading that were removed last.
    pub removed: (u64, Uuid, u32),
}

/// What happened after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordChanges {
    /// What happened, in order.
    pub changes: Vec<KeywordChange>,
    /// Where to go on.
    pub next: Followed,
    /// Whether there was no more at the time.
    pub complete: bool,
    /// Grows when somebody wants every index built anew.
    pub epoch: i64,
}

/// What an index of words follows.
///
/// Contract: following from `Followed::default()` gives every passage there is; following on gives every change exactly once, in an
/// order in which applying them leads to what the store holds, and misses none that commits late.
#[async_trait]
pub trait KeywordFeed: Send + Sync + 'static {
    /// The changes after a position, about `limit` of them.
    async fn changes(&self, after: Followed, limit: u32) -> Result<KeywordChanges, StoreError>;
    /// Asks every index that follows to be built anew; the new epoch.
    async fn request_rebuild(&self) -> Result<i64, StoreError>;
}
