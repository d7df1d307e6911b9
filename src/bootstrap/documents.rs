//! The parts that bring documents in and read them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{Parts, delivery, plugins};
use crate::adapters::http_client::{HttpDocumentFetcher, SenderSettings};
use crate::adapters::postgres::{PgChunkStore, PgDocumentStore, PgJobQueue};
use crate::adapters::python::{PluginParser, PluginPool};
use crate::application::knowledge::embed_passages::{EmbedLater, EmbedPassages};
use crate::application::knowledge::ingest_document::IngestDocument;
use crate::application::knowledge::library::Library;
use crate::application::knowledge::plugin_chunkers::PluginChunkers;
use crate::application::ports::{ChunkStore, DocumentFetcher, DocumentParser, DocumentStore, Plugins};
use crate::application::tenancy::TenancyWriting;
use crate::config::Config;

/// How long a parser may take for a file: a scan of five hundred pages on a busy machine.
const PARSING: Duration = Duration::from_mins(2);

/// Reading files, for a command that needs nothing else.
pub fn parser(config: &Config) -> Arc<dyn DocumentParser> {
    Arc::new(PluginParser::new(plugins::plugins(config), PARSING))
}

impl Parts {
    /// Documents.
    pub fn documents(&self) -> Arc<dyn DocumentStore> {
        Arc::new(PgDocumentStore::new(self.pool.clone()))
    }

    /// Passages.
    pub fn chunks(&self) -> Arc<dyn ChunkStore> {
        Arc::new(PgChunkStore::new(self.pool.clone()))
    }

    /// Bringing documents in and taking them out.
    pub fn library(&self, config: &Config, tenancy: TenancyWriting) -> anyhow::Result<Library> {
        let blobs = self.blobs(config)?;
        Ok(Library { tenancy, documents: self.documents(), chunks: self.chunks(), blobs, jobs: self.jobs() })
    }

    /// The pool of plugin workers; one in a process, whoever asks first says how.
    pub(super) fn plugin_pool(&self, config: &Config) -> Arc<PluginPool> {
        self.plugin_pool.get_or_init(|| plugins::pool(config)).clone()
    }

    /// Plugins.
    pub fn plugins(&self, config: &Config) -> Arc<dyn Plugins> {
        self.plugin_pool(config)
    }

    /// Reading files.
    pub fn parser(&self, config: &Config) -> Arc<dyn DocumentParser> {
        Arc::new(PluginParser::new(self.plugins(config), PARSING))
    }

    /// Fetching documents by their addresses.
    pub(super) fn fetcher(&self, config: &Config) -> anyhow::Result<Arc<dyn DocumentFetcher>> {
        let settings = SenderSettings { lookup: self.lookup.clone(), ..delivery::guard(config) };
        let fetcher = HttpDocumentFetcher::new(settings);
        Ok(Arc::new(fetcher.context("cannot set up the client that fetches documents")?))
    }

    /// The job that reads documents.
    pub fn ingesting(&self, config: &Config) -> anyhow::Result<IngestDocument> {
        Ok(IngestDocument {
            documents: self.documents(),
            chunks: self.chunks(),
            blobs: self.blobs(config)?,
            parser: self.parser(config),
            chunkers: PluginChunkers { plugins: self.plugins(config), by_collection: config.plugins.chunkers.clone() },
            embedder: self.embedder(config),
            clock: self.clock.clone(),
            later: self.embed_later(),
        })
    }

    fn embed_later(&self) -> EmbedLater {
        EmbedLater { chunks: self.chunks(), jobs: self.jobs(), clock: self.clock.clone() }
    }

    /// The job that embeds what was read without the model.
    pub(super) fn embedding_passages(&self, config: &Config) -> EmbedPassages {
        EmbedPassages { chunks: self.chunks(), embedder: self.embedder(config) }
    }

    /// Takes out vectors of another model, where the model is loaded at the start, and enqueues that job wherever passages wait and
    /// this process has the model.
    pub(super) fn catch_up(&self, config: &Config) -> impl Future<Output = ()> + use<> {
        let (later, queue) = (self.embed_later(), PgJobQueue::new(self.pool.clone()));
        let (embedder, at_once) = (self.own_vectors(config), config.embedding.warm_up);
        async move {
            if at_once && let Err(error) = embedder.settle().await {
                tracing::warn!(%error, "whose the stored vectors are is looked at when the model is used");
            }
            match later.enqueue_all(&queue, embedder.as_ref()).await {
                Ok(0) => {}
                Ok(jobs) => {
                    tracing::info!(jobs, "passages that were read without the embedding model get their vectors");
                }
                Err(error) => tracing::warn!(%error, "passages without embeddings wait for the schedule"),
            }
        }
    }
}
