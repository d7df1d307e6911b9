//! The parts that find passages: the embedding model, the index of words, the search over both.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::adapters::bm25::{Analysis, TantivyIndex};
use crate::adapters::embedding::{EmbeddingProbe, EmbeddingSettings, OnnxEmbedder};
use crate::adapters::postgres::{PgKeywordFeed, PgPassageIndex, PgVectorOrigin};
use crate::application::knowledge::embedding_cache::EmbeddingCache;
use crate::application::knowledge::follow_passages::FollowPassages;
use crate::application::knowledge::own_vectors::OwnVectors;
use crate::application::knowledge::plugin_reranker::PluginReranker;
use crate::application::knowledge::search::SearchPassages;
use crate::application::knowledge::search_cache::SearchCache;
use crate::application::ports::{Embedder, HealthProbe, KeywordFeed, KeywordIndex, Plugins, ProbeState};
use crate::config::{Config, Precision};

/// This process's index of words, and whether it has caught up.
#[derive(Clone)]
pub(super) struct Words {
    index: Arc<TantivyIndex>,
    ready: Arc<AtomicBool>,
}

impl Default for Words {
    fn default() -> Self {
        Self { index: Arc::new(TantivyIndex::new(Analysis::DEFAULT)), ready: Arc::default() }
    }
}

#[async_trait]
impl HealthProbe for Words {
    fn name(&self) -> &'static str {
        "keyword_index"
    }

    fn required(&self) -> bool {
        true
    }

    async fn check(&self) -> ProbeState {
        if self.ready.load(Ordering::Acquire) {
            ProbeState::Up
        } else {
            ProbeState::Down("the index of words is being built".to_owned())
        }
    }
}

impl Parts {
    /// The embedding model; one in a process, whoever asks first says how.
    pub fn embedder(&self, config: &Config) -> Arc<dyn Embedder> {
        self.own_vectors(config)
    }

    /// The same, where whose the stored vectors are is the question.
    pub fn own_vectors(&self, config: &Config) -> Arc<OwnVectors> {
        let origin = || Arc::new(PgVectorOrigin::new(self.pool.clone()));
        let own = self.vectors.get_or_init(|| Arc::new(OwnVectors::new(self.onnx_embedder(config), origin())));
        own.clone()
    }

    /// Finding passages.
    pub fn search(&self, config: &Config) -> Arc<SearchPassages> {
        Arc::new(SearchPassages {
            keywords: self.words.index.clone(),
            passages: Arc::new(PgPassageIndex::new(self.pool.clone())),
            vectors: EmbeddingCache::new(self.embedder(config)),
            reranker: plugin_reranker(config, || self.plugins(config)),
            cache: SearchCache::new(config.embedding.search_cache),
        })
    }

    /// What indexes of words follow.
    pub fn keyword_feed(&self) -> Arc<dyn KeywordFeed> {
        Arc::new(PgKeywordFeed::new(self.pool.clone()))
    }

    /// Keeps this process's index of words in step until `stop`.
    pub fn follow_passages(&self, config: &Config, stop: CancellationToken) -> impl Future<Output = ()> + use<> {
        let follower = FollowPassages {
            feed: self.keyword_feed(),
            index: self.words.index.clone() as Arc<dyn KeywordIndex>,
            prefixes: self.prefixes(config),
            poll: Duration::from_millis(config.embedding.keyword_poll_ms),
            ready: self.words.ready.clone(),
        };
        async move { follower.run(stop).await }
    }

    /// Waits for the index of words, but not for long: a small one is there before the first request, a large one is named as
    /// missing by /readyz until it is built.
    pub async fn words_are_ready(&self, at_most: Duration) {
        let built = async {
            while !self.words.ready.load(Ordering::Acquire) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(at_most, built).await;
    }

    /// What of retrieval /readyz names.
    pub(super) fn retrieval_probes(&self, config: &Config) -> Vec<Arc<dyn HealthProbe>> {
        let mut probes: Vec<Arc<dyn HealthProbe>> = vec![Arc::new(EmbeddingProbe(self.onnx_embedder(config)))];
        if config.server.role.serves_api() {
            probes.push(Arc::new(self.words.clone()));
        }
        probes
    }

    /// Loads the model beside everything else that starts, if the configuration wants that. The process must not end before
    /// the task has.
    pub(super) fn warm_up(&self, config: &Config) -> JoinHandle<()> {
        let embedder = config.embedding.warm_up.then(|| self.onnx_embedder(config));
        tokio::task::spawn_blocking(move || {
            let Some(embedder) = embedder else { return };
            if let Err(error) = embedder.warm_up() {
                tracing::warn!(%error, "searching by keywords only");
            }
        })
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
        quantised: section.precision == Precision::Int8,
        threads: section.threads,
        batch_tokens: section.batch_tokens,
        window: section.window,
    })
}

/// The plugin that reranks, where the configuration names one.
pub fn plugin_reranker(config: &Config, plugins: impl FnOnce() -> Arc<dyn Plugins>) -> Option<PluginReranker> {
    let name = config.plugins.reranker.clone();
    let deadline = Duration::from_millis(config.plugins.reranker_ms);
    (!name.is_empty()).then(|| PluginReranker { plugins: plugins(), name, deadline })
}

/// An empty index of words, as the service uses it.
pub fn keyword_index() -> TantivyIndex {
    TantivyIndex::new(Analysis::DEFAULT)
}
