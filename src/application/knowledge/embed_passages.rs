//! The job that embeds what was read without the embedding model: passages get their vectors as soon as the model is there.
//!
//! A batch is read, embedded and stored at a time, so that whatever ends the job keeps what was done; doing it twice gives
//! the same vectors. It is scheduled for each tenant, and enqueued when a process starts that has the model, and when a
//! document was embedded while others of its tenant still wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::document::with_headings;
use docket_domain::ids::{ChunkId, JobId, PrincipalId, TenantId};
use docket_domain::job::{Priority, RetryPolicy};
use docket_domain::principal::{Role, Roles};
use serde_json::{Value, json};

use crate::application::jobs::maintenance::no_payload;
use crate::application::jobs::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use crate::application::ports::chunk_store::{DIMENSIONS, Unembedded};
use crate::application::ports::embedder::{EmbedderError, Urgency};
use crate::application::ports::job_store::NewJob;
use crate::application::ports::{ChunkStore, Clock, Embedder, JobQueue, JobStore, StoreError};

/// The kind, the name of its schedule, and the key under which a tenant has one such job at most.
pub const EMBED_PASSAGES: &str = "embed_passages";
/// Passages of one batch.
const BATCH: u32 = 64;
/// Passages of one job; the next tick takes what is left.
const PASSAGES_MAX: u64 = 20_000;

/// Embeds passages that have no embedding.
pub struct EmbedPassages {
    /// The passages.
    pub chunks: Arc<dyn ChunkStore>,
    /// The model.
    pub embedder: Arc<dyn Embedder>,
}

#[async_trait]
impl JobHandler for EmbedPassages {
    fn spec(&self) -> KindSpec {
        let retry = RetryPolicy { max_attempts: 6, base: Duration::from_secs(5), cap: Duration::from_mins(5) };
        let about = "Embeds passages that were read while the embedding model was missing.";
        KindSpec {
            concurrency: 1,
            timeout: Duration::from_hours(1),
            retry,
            keeps_results: true,
            enqueued_by: Roles::of(&[Role::Admin]),
            ..KindSpec::new(EMBED_PASSAGES, about)
        }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let tenant = context.tenant_id();
        let mut embedded = 0;
        while embedded < PASSAGES_MAX {
            let waiting = self.chunks.without_embedding(tenant, BATCH).await?;
            if waiting.is_empty() {
                break;
            }
            let vectors = match self.vectors(tenant, &waiting).await {
                Ok(vectors) => vectors,
                // Not a failure: without the model searches go by words, and the schedule looks again.
                Err(EmbedderError::NotInstalled(reason)) => {
                    return Ok(Outcome::DoneWith(json!({"embedded": embedded, "not_installed": reason})));
                }
                Err(error) => return Err(JobError::retry(error)),
            };
            if vectors.len() != waiting.len() || vectors.iter().any(|(_, vector)| vector.len() != DIMENSIONS) {
                return Err(JobError::Fatal(format!(
                    "the model gives no vector of {DIMENSIONS} numbers for each text"
                )));
            }
            embedded += self.chunks.set_embeddings(tenant, &vectors).await?;
            context.go_on()?;
        }
        Ok(if embedded == 0 { Outcome::Done } else { Outcome::DoneWith(json!({"embedded": embedded})) })
    }
}

impl EmbedPassages {
    /// The vectors of passages: those of equal content that are known already, and fresh ones for the rest.
    async fn vectors(
        &self,
        tenant: TenantId,
        waiting: &[Unembedded],
    ) -> Result<Vec<(ChunkId, Vec<f32>)>, EmbedderError> {
        let hashes: Vec<[u8; 32]> = waiting.iter().map(|passage| passage.content_sha256).collect();
        let failed = |error: StoreError| EmbedderError::Failed(Box::new(error));
        let known = self.chunks.known_embeddings(tenant, &hashes).await.map_err(failed)?;
        let mut found: HashMap<[u8; 32], Vec<f32>> = known.into_iter().collect();
        let mut fresh: Vec<&Unembedded> =
            waiting.iter().filter(|passage| !found.contains_key(&passage.content_sha256)).collect();
        fresh.sort_by_key(|passage| passage.content_sha256);
        fresh.dedup_by_key(|passage| passage.content_sha256);
        if !fresh.is_empty() {
            let texts: Vec<String> =
                fresh.iter().map(|passage| with_headings(&passage.headings, &passage.text)).collect();
            let vectors = self.embedder.embed(&texts, Urgency::Bulk).await?;
            found.extend(fresh.iter().map(|passage| passage.content_sha256).zip(vectors));
        }
        let vector = |passage: &Unembedded| Some((passage.id, found.get(&passage.content_sha256)?.clone()));
        Ok(waiting.iter().filter_map(vector).collect())
    }
}

/// What is needed to have passages embedded later.
#[derive(Clone)]
pub struct EmbedLater {
    /// The passages.
    pub chunks: Arc<dyn ChunkStore>,
    /// Where the job goes.
    pub jobs: Arc<dyn JobStore>,
    /// Fresh ids.
    pub clock: Arc<dyn Clock>,
}

impl EmbedLater {
    /// Enqueues the job of a tenant if any of its passages waits; whether there is a new job.
    pub async fn enqueue(&self, tenant: TenantId) -> Result<bool, StoreError> {
        if self.chunks.without_embedding(tenant, 1).await?.is_empty() {
            return Ok(false);
        }
        let job = NewJob {
            id: JobId(self.clock.new_id()),
            tenant_id: tenant,
            kind: EMBED_PASSAGES.parse().map_err(StoreError::internal)?,
            payload: json!({}),
            priority: Priority::Low,
            run_at: None,
            unique_key: Some(EMBED_PASSAGES.to_owned()),
            requested_by: PrincipalId::SYSTEM,
            traceparent: None,
        };
        Ok(!self.jobs.enqueue(tenant, &[job]).await?.is_empty())
    }

    /// Enqueues the jobs of all tenants that need one, if this process has the model; how many. The model is loaded only
    /// when passages wait.
    pub async fn enqueue_all(&self, queue: &dyn JobQueue, embedder: &dyn Embedder) -> Result<u64, StoreError> {
        let mut enqueued = 0;
        let mut is_there = false;
        for tenant in queue.tenants().await? {
            if self.chunks.without_embedding(tenant, 1).await?.is_empty() {
                continue;
            }
            if !is_there && embedder.embed(&["ready".to_owned()], Urgency::Bulk).await.is_err() {
                return Ok(enqueued);
            }
            is_there = true;
            enqueued += u64::from(self.enqueue(tenant).await?);
        }
        Ok(enqueued)
    }
}
