//! Vectors of questions, remembered for each tenant by the content of the question.
//!
//! A tenant's cache is its own: how fast an answer comes must not tell one tenant what another has asked.

use std::sync::Arc;

use docket_domain::ids::TenantId;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tracing::Span;
use tracing::field::Empty;

use crate::application::ports::Embedder;
use crate::application::ports::embedder::{EmbedderError, Urgency};
use crate::telemetry::retrieval::EMBEDDING_CACHE;

/// Questions remembered, of all tenants: 10,000 vectors are 16 MB.
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
        let key = (tenant, Sha256::digest(text.as_bytes()).into());
        let known = self.vectors.get(&key);
        Span::current().record("cached", known.is_some());
        if let Some(known) = known {
            metrics::counter!(EMBEDDING_CACHE, "outcome" => "hit").increment(1);
            return Ok(known);
        }
        metrics::counter!(EMBEDDING_CACHE, "outcome" => "miss").increment(1);
        let vectors = self.embedder.embed(&[text.to_owned()], Urgency::Interactive).await?;
        let missing = || EmbedderError::Failed("the model gave no vector".into());
        let vector: Arc<[f32]> = vectors.into_iter().next().ok_or_else(missing)?.into();
        self.vectors.insert(key, vector.clone());
        Ok(vector)
    }
}
