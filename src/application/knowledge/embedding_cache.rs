//! Vectors of questions and sentences, remembered for each tenant by the content of the text.
//!
//! A tenant's memory is its own: how fast an answer comes must not tell one tenant what another has asked or has documents of.

use std::sync::Arc;

use docket_domain::ids::TenantId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::application::ports::Embedder;
use crate::application::ports::embedder::{EmbedderError, Urgency};
use crate::telemetry::gen_ai::embeddings_span;
use crate::telemetry::retrieval::EMBEDDING_CACHE;

/// Texts remembered, of all tenants: 10,000 vectors are 16 MB.
const CAPACITY: u64 = 10_000;

/// An embedder with its memory. Vectors depend on nothing but the model and the text, so they never grow old.
pub struct EmbeddingCache {
    embedder: Arc<dyn Embedder>,
    vectors: Cache<(TenantId, [u8; 32]), Arc<[f32]>>,
}

impl EmbeddingCache {
    /// An empty memory.
    pub fn new(embedder: Arc<dyn Embedder>) -> Self {
        Self { embedder, vectors: Cache::builder().max_capacity(CAPACITY).build() }
    }

    /// The model itself.
    pub fn embedder(&self) -> &Arc<dyn Embedder> {
        &self.embedder
    }

    /// The vector of a question.
    #[tracing::instrument(name = "embed", skip_all, fields(cached = Empty))]
    pub async fn question(&self, tenant: TenantId, text: &str) -> Result<Arc<[f32]>, EmbedderError> {
        let known = self.vectors.contains_key(&key(tenant, text));
        Span::current().record("cached", known);
        metrics::counter!(EMBEDDING_CACHE, "outcome" => if known { "hit" } else { "miss" }).increment(1);
        self.texts(tenant, &[text]).await?.pop().ok_or_else(missing)
    }

    /// The vector of each text; those that are known are not computed again.
    pub async fn texts(&self, tenant: TenantId, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, EmbedderError> {
        let keys: Vec<_> = texts.iter().map(|text| key(tenant, text)).collect();
        let mut found: Vec<Option<Arc<[f32]>>> = keys.iter().map(|key| self.vectors.get(key)).collect();
        let unknown: Vec<usize> = (0..texts.len()).filter(|place| found[*place].is_none()).collect();
        if !unknown.is_empty() {
            let asked: Vec<String> = unknown.iter().map(|place| texts[*place].to_owned()).collect();
            let span = embeddings_span(self.embedder.model(), self.embedder.dimensions());
            let computed = self.embedder.embed(&asked, Urgency::Interactive).instrument(span).await?;
            for (place, vector) in unknown.into_iter().zip(computed) {
                let vector: Arc<[f32]> = vector.into();
                self.vectors.insert(keys[place], vector.clone());
                found[place] = Some(vector);
            }
        }
        found.into_iter().map(|vector| vector.ok_or_else(missing)).collect()
    }
}

fn key(tenant: TenantId, text: &str) -> (TenantId, [u8; 32]) {
    (tenant, Sha256::digest(text.as_bytes()).into())
}

fn missing() -> EmbedderError {
    EmbedderError::Failed("the model gave fewer vectors than it got texts".into())
}
