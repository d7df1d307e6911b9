//! The stage of a search that looks at the first candidates again: token by token, or by a plugin.

use std::time::Instant;

use docket_domain::retrieval::{convex_combination, max_sim};

use super::embedding_cache::EmbeddingCache;
use super::plugin_reranker::PluginReranker;
use super::search::{FUSED_SHARE, RERANKED, Stages, embedding_error};
use super::search_order::{Hit, Place};
use crate::application::ports::StoreError;
use crate::application::ports::embedder::{EmbedderError, Urgency};

/// By whom.
pub(super) struct Reranking<'a> {
    pub(super) vectors: &'a EmbeddingCache,
    pub(super) plugin: Option<&'a PluginReranker>,
}

impl Reranking<'_> {
    /// Judges the first candidates and mixes that with the order before. Where nobody could judge, the order before stands, and the
    /// reason is told: the stage is named `rerank_failed`, in words for the reader.
    #[tracing::instrument(name = "search.rerank", skip_all)]
    pub(super) async fn run(
        &self,
        query: &str,
        hits: &mut Vec<Hit>,
        stages: &mut Stages,
    ) -> Result<Option<String>, StoreError> {
        let began = Instant::now();
        let texts: Vec<String> = hits.iter().take(RERANKED).map(|hit| hit.found.chunk.text.clone()).collect();
        let judged = match self.plugin {
            Some(plugin) => match plugin.score(query, &texts).await {
                Ok(scores) => scores,
                Err(error) => {
                    tracing::warn!(%error, "a search goes on without its reranker");
                    stages.note("rerank_failed", hits.len(), began.elapsed());
                    return Ok(Some(format!("the order is that before reranking: {error}")));
                }
            },
            None => match self.token_by_token(query, texts).await? {
                Some(scores) => scores,
                None => return Ok(None),
            },
        };
        reorder(hits, &judged);
        stages.note("rerank", hits.len(), began.elapsed());
        Ok(None)
    }

    /// Late interaction; none where there is no model.
    async fn token_by_token(&self, query: &str, passages: Vec<String>) -> Result<Option<Vec<f64>>, StoreError> {
        let texts: Vec<String> = std::iter::once(query.to_owned()).chain(passages).collect();
        let vectors = match self.vectors.embedder().embed_tokens(&texts, Urgency::Interactive).await {
            Ok(vectors) => vectors,
            Err(EmbedderError::NotInstalled(_)) => return Ok(None),
            Err(error) => return Err(embedding_error(error)),
        };
        let Some((question, passages)) = vectors.split_first() else { return Ok(None) };
        let compare = |values: &[f32]| max_sim(&question.values, values, question.dimensions);
        Ok(Some(passages.iter().map(|passage| compare(&passage.values)).collect()))
    }
}

/// What was not judged follows in the order before, and has no better score than the last that was.
fn reorder(hits: &mut Vec<Hit>, judged: &[f64]) {
    let compared: Vec<(usize, f64)> = judged.iter().copied().enumerate().collect();
    let before: Vec<(usize, f64)> = hits.iter().take(compared.len()).map(|hit| hit.score).enumerate().collect();
    let mixed = convex_combination(&[(&before, FUSED_SHARE), (&compared, 1.0 - FUSED_SHARE)]);
    let mut slots: Vec<Option<Hit>> = hits.drain(..).map(Some).collect();
    let mut lowest = f64::INFINITY;
    for (rank, (place, score)) in (1..).zip(mixed) {
        lowest = score;
        if let Some(mut hit) = slots[place].take() {
            hit.places.rerank = Some(Place { rank, score: judged[place] });
            hit.score = score;
            hits.push(hit);
        }
    }
    for mut hit in slots.into_iter().flatten() {
        hit.score = hit.score.min(lowest);
        hits.push(hit);
    }
}
