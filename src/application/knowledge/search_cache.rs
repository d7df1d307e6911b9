//! What searches found, remembered for a while, so that asking again costs neither the model nor the indexes.
//!
//! Only places are remembered, never passages: those are read from the store each time, under the predicate of who may see
//! them, and what is not there any more is not shown. The key holds everything that the order of passages depends on: whose
//! they are, what the asker may see, what was asked and how, and how far the index of words had followed the store. So
//! whatever any process takes in or out makes older entries unreachable as soon as this process's index knows of it
//! (`embedding.keyword_poll_ms`).

use std::sync::Arc;
use std::time::Duration;

use docket_domain::case::Confidentiality;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use moka::sync::Cache;

use super::search_order::{Fusion, Places, SearchOrder};
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::passage_index::{Method, PassageFilter};
use crate::telemetry::retrieval::SEARCH_CACHE;

/// How long an entry may be used: vectors that passages are given later (`embed_passages`) do not show in the index of words.
/// A search that found nothing is not remembered at all.
const LONGEST: Duration = Duration::from_mins(1);

/// Everything that the order of passages depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    tenant: TenantId,
    /// Public, internal, restricted.
    sight: (bool, bool, bool),
    /// Who asks, where that decides: people see what they brought themselves.
    principal: Option<PrincipalId>,
    generation: u64,
    query: String,
    collection: Option<CollectionId>,
    documents: Vec<DocumentId>,
    confidentialities: Vec<Confidentiality>,
    limit: usize,
    fusion: Fusion,
    rerank: bool,
    /// The bits of the share of relevance.
    diversity: Option<u64>,
}

impl Key {
    /// The key of a search whose index stood at this generation when it began.
    pub(super) fn of(viewer: Viewer, order: &SearchOrder, filter: &PassageFilter, generation: u64) -> Self {
        let sight = viewer.sight;
        let sees_all = sight.public && sight.internal && sight.restricted;
        let (mut documents, mut confidentialities) = (filter.documents.clone(), filter.confidentialities.clone());
        documents.sort_unstable();
        documents.dedup();
        confidentialities.sort_unstable();
        confidentialities.dedup();
        Self {
            tenant: viewer.tenant_id,
            sight: (sight.public, sight.internal, sight.restricted),
            principal: (!sees_all).then_some(viewer.principal_id),
            generation,
            // White space is nothing to any stage.
            query: order.query.split_whitespace().collect::<Vec<_>>().join(" "),
            collection: filter.collection,
            documents,
            confidentialities,
            limit: order.limit,
            fusion: order.fusion,
            rerank: order.rerank,
            diversity: order.diversity.map(f64::to_bits),
        }
    }
}

/// What a search found, without the passages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remembered {
    /// Passages with their score and places, best first.
    pub(super) hits: Vec<(ChunkId, f64, Places)>,
    /// How the nearest were found.
    pub(super) method: Option<Method>,
}

/// Bounded by the number of searches; shared by everything in a process that searches.
#[derive(Clone)]
pub struct SearchCache {
    entries: Option<Cache<Key, Arc<Remembered>>>,
}

impl SearchCache {
    /// Remembers so many searches, of all tenants; 0 remembers none.
    pub fn new(searches: u64) -> Self {
        let build = || Cache::builder().max_capacity(searches).time_to_live(LONGEST).build();
        Self { entries: (searches > 0).then(build) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Remembered>> {
        self.entries.as_ref()?.get(key)
    }

    pub(super) fn put(&self, key: Key, found: Remembered) {
        if let Some(entries) = &self.entries {
            entries.insert(key, Arc::new(found));
        }
    }

    /// Counts whether a search was answered from here; nothing where nothing is remembered.
    pub(super) fn count(&self, outcome: &'static str) {
        if self.entries.is_some() {
            metrics::counter!(SEARCH_CACHE, "outcome" => outcome).increment(1);
        }
    }
}
