//! Finding passages: by words and by meaning at the same time, fused, checked against the store, reranked and made diverse on request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use docket_domain::case::visibility::Sight;
use docket_domain::ids::ChunkId;
use docket_domain::principal::Scope;
use docket_domain::retrieval::{convex_combination, max_sim, maximal_marginal_relevance, reciprocal_rank_fusion};

use super::embedding_cache::EmbeddingCache;
use super::passages::{FindPassages, FoundPassage, PassageQuery};
use super::search_order::{Fusion, Hit, Place, Places, SearchOrder, SearchResult, StageReport};
use crate::application::error::UseCaseError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::embedder::{EmbedderError, Urgency};
use crate::application::ports::passage_index::{Found, Nearest, PassageFilter, PassageIndex};
use crate::application::ports::{KeywordIndex, StoreError};
use crate::application::request::Caller;
use crate::telemetry::retrieval::SEARCH;

/// Passages that each list may hold.
pub const CANDIDATES: usize = 200;
/// Candidates that are compared token by token.
pub const RERANKED: usize = 30;
/// The share that the order before has in the order after reranking.
pub const FUSED_SHARE: f64 = 0.7;
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
}

impl SearchPassages {
    /// Searches. Needs the scope `knowledge:read`; a collection that is not there is `NotFound`.
    #[tracing::instrument(name = "search", skip_all)]
    pub async fn search(&self, caller: &Caller, order: &SearchOrder) -> Result<SearchResult, UseCaseError> {
        caller.require_scope(Scope::KnowledgeRead)?;
        let actor = &caller.actor;
        let viewer = Viewer { tenant_id: actor.tenant_id, principal_id: actor.principal_id, sight: Sight::of(actor) };
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
        let mut stages = Stages::default();
        let by_words = async {
            let began = Instant::now();
            (self.by_words(viewer, order, &filter).await, began.elapsed())
        };
        let by_meaning = async {
            let began = Instant::now();
            (self.by_meaning(viewer, order, &filter).await, began.elapsed())
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
        if order.rerank {
            self.rerank(&order.query, &mut hits, &mut stages).await?;
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

    /// Late interaction over the first candidates, mixed with the order before.
    #[tracing::instrument(name = "search.rerank", skip_all)]
    async fn rerank(&self, query: &str, hits: &mut Vec<Hit>, stages: &mut Stages) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut texts: Vec<String> = vec![query.to_owned()];
        texts.extend(hits.iter().take(RERANKED).map(|hit| hit.found.chunk.text.clone()));
        let vectors = match self.vectors.embedder().embed_tokens(&texts, Urgency::Interactive).await {
            Ok(vectors) => vectors,
            Err(EmbedderError::NotInstalled(_)) => return Ok(()),
            Err(error) => return Err(embedding_error(error)),
        };
        let Some((question, passages)) = vectors.split_first() else { return Ok(()) };
        let compared: Vec<(usize, f64)> = passages
            .iter()
            .enumerate()
            .map(|(place, passage)| (place, max_sim(&question.values, &passage.values, question.dimensions)))
            .collect();
        let before: Vec<(usize, f64)> = hits.iter().take(compared.len()).map(|hit| hit.score).enumerate().collect();
        let mixed = convex_combination(&[(&before, FUSED_SHARE), (&compared, 1.0 - FUSED_SHARE)]);
        let mut slots: Vec<Option<Hit>> = hits.drain(..).map(Some).collect();
        for (rank, (place, score)) in (1..).zip(mixed) {
            if let Some(mut hit) = slots[place].take() {
                hit.places.rerank = Some(Place { rank, score: compared[place].1 });
                hit.score = score;
                hits.push(hit);
            }
        }
        stages.note("rerank", hits.len(), began.elapsed());
        Ok(())
    }
}

/// What answers are made from: the default search.
#[async_trait]
impl FindPassages for SearchPassages {
    async fn find(&self, caller: &Caller, query: &PassageQuery) -> Result<Vec<FoundPassage>, UseCaseError> {
        let order = SearchOrder {
            query: query.question.clone(),
            collection: query.collection.clone(),
            limit: query.limit,
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

fn fuse(fusion: Fusion, words: &Ranked, nearest: &Ranked) -> Ranked {
    match fusion {
        Fusion::Keywords => words.clone(),
        Fusion::Meaning => nearest.clone(),
        Fusion::ReciprocalRank => reciprocal_rank_fusion(&[words, nearest], RRF_K),
        Fusion::Convex => convex_combination(&[(words, 0.5), (nearest, 0.5)]),
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

fn embedding_error(error: EmbedderError) -> StoreError {
    match error {
        EmbedderError::Busy => StoreError::Unavailable(error.into()),
        other => StoreError::internal(other),
    }
}

/// The stages so far.
#[derive(Default)]
struct Stages(Vec<StageReport>);

impl Stages {
    fn note(&mut self, stage: &'static str, passages: usize, took: std::time::Duration) {
        metrics::histogram!(SEARCH, "stage" => stage).record(took.as_secs_f64());
        self.0.push(StageReport { stage, passages, milliseconds: took.as_secs_f64() * 1_000.0 });
    }
}
