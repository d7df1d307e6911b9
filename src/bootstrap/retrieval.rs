//! The parts that find passages: the embedding model.

use std::sync::Arc;

use super::Parts;
use crate::adapters::embedding::{EmbeddingProbe, EmbeddingSettings, OnnxEmbedder};
use crate::application::ports::{Embedder, HealthProbe};
use crate::config::Config;

impl Parts {
    /// The embedding model; one in a process, whoever asks first says how.
    pub fn embedder(&self, config: &Config) -> Arc<dyn Embedder> {
        self.onnx_embedder(config)
    }

    /// Says whether the embedding model is there.
    pub(super) fn embedding_probe(&self, config: &Config) -> Arc<dyn HealthProbe> {
        Arc::new(EmbeddingProbe(self.onnx_embedder(config)))
    }

    /// Loads the model beside everything else that starts, if the configuration wants that.
    pub(super) fn warm_up(&self, config: &Config) {
        if !config.embedding.warm_up {
            return;
        }
        let embedder = self.onnx_embedder(config);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = embedder.warm_up() {
                tracing::warn!(%error, "searching by keywords only");
            }
        });
    }

    fn onnx_embedder(&self, config: &Config) -> Arc<OnnxEmbedder> {
        self.embedding.get_or_init(|| Arc::new(embedder(config))).clone()
    }
}

/// The embedding model as the configuration describes it, not yet loaded.
pub fn embedder(config: &Config) -> OnnxEmbedder {
    let section = &config.embedding;
    OnnxEmbedder::new(EmbeddingSettings {
        model_dir: section.model_dir.clone(),
        library: section.library.clone(),
        threads: section.threads,
        batch_tokens: section.batch_tokens,
        window: section.window,
    })
}
