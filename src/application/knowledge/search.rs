//! Finding passages: by words and by meaning at the same time, fused, checked against the store, reranked and made diverse on request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use docket_domain::case::visibility::Sight;
use docket_domain::ids::ChunkId;
use docket_domain::principal::Scope;
use docket_domain::retrieval::{convex_combination, maximal_marginal_relevance, reciprocal_rank_fusion};

use super::embedding_cache::EmbeddingCache;
use super::passages::{FindPassages, FoundPassage, PassageQuery};
use super::plugin_reranker::PluginReranker;
use super::reranking::Reranking;
use super::search_cache::{Key, Remembered, SearchCache};
use super::search_order::{Fusion, Hit, Place, Places, SearchOrder, SearchResult, StageReport};
use crate::application::error::UseCaseError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::embedder::EmbedderError;
use crate::application::ports::passage_index::{Found, Nearest, PassageFilter, PassageIndex};
use crate::application::ports::{KeywordIndex, StoreError};
use crate::application::request::Caller;
use crate::faults::Fault;
use crate::telemetry::retrieval::SEARCH;

/// Passages that each list may hold.
pub const CANDIDATES: usize = 200;
/// Candidates that are reranked.
pub const RERANKED: usize = 30;
/// The share that words have in the convex combination; meaning has the rest (docs/evaluation.md).
pub const WORDS_SHARE: f64 = 0.6;
/// The share that the order before has in the order after reranking (docs/evaluation.md: chosen by one half of the questions).
pub const FUSED_SHARE: f64 = 0.3;
/// The constant of reciprocal rank fusion, where it is asked for (docs/evaluation.md: better than the customary 60).
pub const RRF_K: f64 = 10.0;

type Ranked = Vec<(ChunkId, f64)>;

/// Searches passages.
///
/// Every path sees only what the caller may see: each index by its own filter, and the store once more when the passages are read.
pub struct SearchPassages {
    /// Words.
    pub keywords: Arc<dyn KeywordIndex>,
    /// Meaning, and the passages themselves.
    pub passages: Arc<dyn PassageIndex>,
    /// Vectors of questions.
    pub vectors: EmbeddingCache,
    /// Reranks in place of late interaction.
    pub reranker: Option<PluginReranker>,
    /// What earlier searches found.
    pub cache: SearchCache,
}

impl SearchPassages {
    /// Searches. Needs the scope `knowledge:read`; a collection that is not there is `NotFound`.
    #[tracing::instrument(name = "search", skip_all)]
    pub async fn search(&self, caller: &Caller, order: &SearchOrder) -> Result<SearchResult, UseCaseError> {
        caller.require_scope(Scope::KnowledgeRead)?;
        let actor = &caller.actor;
        let sight = if Fault::PassagesBeyondSight.is_seeded() {
            Sight { public: true, internal: true, restricted: true }
        } else {
            Sight::of(actor)
        };
        let viewer = Viewer { tenant_id: actor.tenant_id, principal_id: actor.principal_id, sight };
        let collection = match &order.collection {
            None => None,
            Some(name) => {
                let found = self.passages.collection(actor.tenant_id, name).await?;
                Some(found.ok_or(UseCaseError::NotFound("collection"))?)
            }
        };
        let filter = PassageFilter {
            collection,
            documents: order.documents.clone(),
            confidentialities: order.confidentialities.clone(),
        };
        // Before anything is searched: a change meanwhile makes what is found here unreachable.
        let key = Key::of(viewer, order, &filter, self.keywords.generation(actor.tenant_id));
        if let Some(known) = self.remembered(viewer, &key).await? {
            return Ok(known);
        }
        let result = self.look(viewer, order, &filter).await?;
        // Nothing found is nothing worth remembering, and the first vectors of documents may be on their way.
        if result.degraded.is_none() && !result.hits.is_empty() {
            self.cache.put(key, remembered(&result));
        }
        Ok(result)
    }

    /// What an earlier search found, as far as it is still there; none when any of it is not.
    async fn remembered(&self, viewer: Viewer, key: &Key) -> Result<Option<SearchResult>, StoreError> {
        let Some(known) = self.cache.get(key) else {
            self.cache.count("miss");
            return Ok(None);
        };
        let mut stages = Stages::default();
        let order: Ranked = known.hits.iter().map(|(id, score, _)| (*id, *score)).collect();
        let mut hits = self.read(viewer, &order, order.len(), &mut stages).await?;
        if hits.len() < order.len() {
            self.cache.count("stale");
            return Ok(None);
        }
        for (hit, (_, _, places)) in hits.iter_mut().zip(&known.hits) {
            hit.places = *places;
        }
        self.cache.count("hit");
        Ok(Some(SearchResult { hits, stages: stages.0, method: known.method, degraded: None }))
    }

    async fn look(
        &self,
        viewer: Viewer,
        order: &SearchOrder,
        filter: &PassageFilter,
    ) -> Result<SearchResult, StoreError> {
        let mut stages = Stages::default();
        let by_words = async {
            let began = Instant::now();
            (self.by_words(viewer, order, filter).await, began.elapsed())
        };
        let by_meaning = async {
            let began = Instant::now();
            (self.by_meaning(viewer, order, filter).await, began.elapsed())
        };
        let ((words, words_took), (meaning, meaning_took)) = tokio::join!(by_words, by_meaning);
        let (words, (meaning, degraded)) = (words?, meaning?);
        let (nearest, method) = meaning.map_or_else(|| (Vec::new(), None), |near| (near.hits, Some(near.method)));
        stages.note("keywords", words.len(), words_took);
        stages.note("meaning", nearest.len(), meaning_took);
        let fused = fuse(order.fusion, &words, &nearest);
        // More than asked for: some may be gone by now, and later stages choose among them.
        let wanted = if order.rerank || order.diversity.is_some() { RERANKED.max(order.limit) } else { order.limit };
        let mut hits = self.read(viewer, &fused, wanted, &mut stages).await?;
        note_places(&mut hits, &words, |places| &mut places.keywords);
        note_places(&mut hits, &nearest, |places| &mut places.meaning);
        note_places(&mut hits, &fused, |places| &mut places.fusion);
        let mut degraded = degraded;
        if order.rerank {
            let stage = Reranking { vectors: &self.vectors, plugin: self.reranker.as_ref() };
            let missing = stage.run(&order.query, &mut hits, &mut stages).await?;
            degraded = degraded.or(missing);
        }
        if let Some(lambda) = order.diversity {
            diversify(&mut hits, lambda, order.limit, &mut stages);
        }
        hits.truncate(order.limit);
        Ok(SearchResult { hits, stages: stages.0, method, degraded })
    }

    #[tracing::instrument(name = "search.keywords", skip_all)]
    async fn by_words(
        &self,
        viewer: Viewer,
        order: &SearchOrder,
        filter: &PassageFilter,
    ) -> Result<Ranked, StoreError> {
        if order.fusion == Fusion::Meaning {
            return Ok(Vec::new());
        }
        let (index, text, filter) = (self.keywords.clone(), order.query.clone(), filter.clone());
        let found = tokio::task::spawn_blocking(move || index.search(viewer, &text, &filter, CANDIDATES)).await;
        found.map_err(StoreError::internal)?
    }

    /// Without the model the words must do, and the answer says so.
    #[tracing::instrument(name = "search.meaning", skip_all)]
    async fn by_meaning(
        &self,
        viewer: Viewer,
        order: &SearchOrder,
        filter: &PassageFilter,
    ) -> Result<(Option<Nearest>, Option<String>), StoreError> {
        if order.fusion == Fusion::Keywords {
            return Ok((None, None));
        }
        let vector = match self.vectors.question(viewer.tenant_id, &order.query).await {
            Ok(vector) => vector,
            Err(EmbedderError::NotInstalled(_)) => {
                return Ok((None, Some("the embedding model is not installed: found by words only".to_owned())));
            }
            Err(error) => return Err(embedding_error(error)),
        };
        let limit = u32::try_from(CANDIDATES).unwrap_or(u32::MAX);
        Ok((Some(self.passages.nearest(viewer, &vector, filter, limit).await?), None))
    }

    /// Reads the best passages from the store until `wanted` of them were there.
    async fn read(
        &self,
        viewer: Viewer,
        fused: &Ranked,
        wanted: usize,
        stages: &mut Stages,
    ) -> Result<Vec<Hit>, StoreError> {
        let began = Instant::now();
        let mut hits = Vec::with_capacity(wanted);
        for page in fused.chunks(wanted.max(1)) {
            let ids: Vec<ChunkId> = page.iter().map(|(id, _)| *id).collect();
            let found = self.passages.found(viewer, &ids).await?;
            let mut by_id: HashMap<ChunkId, Found> = found.into_iter().map(|found| (found.chunk.id, found)).collect();
            for (id, score) in page {
                if let Some(found) = by_id.remove(id) {
                    hits.push(Hit { found, score: *score, places: Places::default() });
                }
            }
            if hits.len() >= wanted {
                break;
            }
        }
        hits.truncate(wanted);
        stages.note("read", hits.len(), began.elapsed());
        Ok(hits)
    }
}

/// What answers are made from: the default search, reranked where that is asked for.
#[async_trait]
impl FindPassages for SearchPassages {
    async fn find(&self, caller: &Caller, query: &PassageQuery) -> Result<Vec<FoundPassage>, UseCaseError> {
        let order = SearchOrder {
            query: query.question.clone(),
            collection: query.collection.clone(),
            limit: query.limit,
            rerank: query.rerank,
            ..SearchOrder::default()
        };
        let result = self.search(caller, &order).await?;
        Ok(result.hits.into_iter().map(passage).collect())
    }
}

fn passage(hit: Hit) -> FoundPassage {
    let chunk = hit.found.chunk;
    FoundPassage {
        chunk_id: chunk.id.0,
        document_id: chunk.document_id.0,
        title: hit.found.title,
        headings: chunk.heading_path,
        text: chunk.text,
        page_from: chunk.page_from,
        page_to: chunk.page_to,
        char_start: chunk.char_start,
        confidentiality: chunk.confidentiality,
        score: hit.score,
    }
}

fn remembered(result: &SearchResult) -> Remembered {
    let hits = result.hits.iter().map(|hit| (hit.found.chunk.id, hit.score, hit.places)).collect();
    Remembered { hits, method: result.method }
}

fn fuse(fusion: Fusion, words: &Ranked, nearest: &Ranked) -> Ranked {
    match fusion {
        Fusion::Keywords => words.clone(),
        Fusion::Meaning => nearest.clone(),
        Fusion::ReciprocalRank => reciprocal_rank_fusion(&[words, nearest], RRF_K),
        Fusion::Convex => convex_combination(&[(words, WORDS_SHARE), (nearest, 1.0 - WORDS_SHARE)]),
    }
}

fn note_places(hits: &mut [Hit], list: &Ranked, place: impl Fn(&mut Places) -> &mut Option<Place>) {
    let ranks: HashMap<ChunkId, Place> =
        (1..).zip(list).map(|(rank, (id, score))| (*id, Place { rank, score: *score })).collect();
    for hit in hits {
        *place(&mut hit.places) = ranks.get(&hit.found.chunk.id).copied();
    }
}

fn diversify(hits: &mut Vec<Hit>, lambda: f64, limit: usize, stages: &mut Stages) {
    let began = Instant::now();
    let highest = hits.iter().map(|hit| hit.score).fold(f64::MIN_POSITIVE, f64::max);
    let relevance: Vec<f64> = hits.iter().map(|hit| hit.score / highest).collect();
    let likeness = |left: usize, right: usize| match (&hits[left].found.embedding, &hits[right].found.embedding) {
        (Some(left), Some(right)) => f64::from(docket_domain::retrieval::late_interaction::dot(left, right)),
        _ => 0.0,
    };
    let picked = maximal_marginal_relevance(&relevance, likeness, lambda, limit);
    let mut slots: Vec<Option<Hit>> = hits.drain(..).map(Some).collect();
    hits.extend(picked.into_iter().filter_map(|place| slots[place].take()));
    stages.note("diversity", hits.len(), began.elapsed());
}

pub(super) fn embedding_error(error: EmbedderError) -> StoreError {
    match error {
        EmbedderError::Busy => StoreError::Unavailable(error.into()),
        other => StoreError::internal(other),
    }
}

/// The stages so far.
#[derive(Default)]
pub(super) struct Stages(Vec<StageReport>);

impl Stages {
    pub(super) fn note(&mut self, stage: &'static str, passages: usize, took: std::time::Duration) {
        metrics::histogram!(SEARCH, "stage" => stage).record(took.as_secs_f64());
        self.0.push(StageReport { stage, passages, milliseconds: took.as_secs_f64() * 1_000.0 });
    }
}
