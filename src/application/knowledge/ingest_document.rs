//! The job that reads a document: fetch its bytes, parse, cut, embed, publish.
//!
//! Nothing is written before the last stage, which writes everything and ends the job in one transaction: whatever dies on
//! the way, searches see the reading before or the reading after, and a worker that lost its lease changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use docket_domain::document::{Chunk, Chunking, Document, Extracted, Failure, FailureCode, Passage, with_headings};
use docket_domain::ids::{ChunkId, DocumentId, TenantId};
use docket_domain::job::RetryPolicy;
use futures::TryStreamExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::embed_passages::EmbedLater;
use super::plugin_chunkers::{ChunkerError, PluginChunkers};
use crate::application::jobs::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use crate::application::ports::blob_store::ContentAddress;
use crate::application::ports::chunk_store::DIMENSIONS;
use crate::application::ports::document_parser::{FileToParse, ParseError};
use crate::application::ports::document_store::{DocumentText, NewChunk, Published, Reading};
use crate::application::ports::embedder::{EmbedderError, Urgency};
use crate::application::ports::{BlobStore, ChunkStore, Clock, DocumentParser, DocumentStore, Embedder, StoreError};

/// The kind.
pub const INGEST_DOCUMENT: &str = "ingest_document";
/// The largest file that is handed to a parser, in bytes.
const BYTES_MAX: u64 = 100 * 1024 * 1024;
/// The most passages of a document.
const CHUNKS_MAX: usize = 50_000;
/// Texts embedded at once: between two batches the job shows its progress and notices that it was cancelled.
const BATCH: usize = 64;
/// Attempts after which a parser that dies of a document is taken for the document's fault.
const DEATHS: u32 = 2;
/// How long what a reading needs and cannot have is left alone.
const LEAVE_ALONE: Duration = Duration::from_secs(10);

/// Reads documents.
pub struct IngestDocument {
    /// Documents.
    pub documents: Arc<dyn DocumentStore>,
    /// Passages, for embeddings that are known.
    pub chunks: Arc<dyn ChunkStore>,
    /// The bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// Reads the text.
    pub parser: Arc<dyn DocumentParser>,
    /// Plugins that cut the documents of some collections.
    pub chunkers: PluginChunkers,
    /// Makes embeddings. Where the model is not installed passages go without: keywords still find them.
    pub embedder: Arc<dyn Embedder>,
    /// Fresh ids.
    pub clock: Arc<dyn Clock>,
    /// Has passages embedded that were read before the model was there.
    pub later: EmbedLater,
}

/// Why a document is not read.
enum Stopped {
    /// It cannot be read.
    Failed(Failure),
    /// The job ends otherwise.
    Job(JobError),
}

impl From<JobError> for Stopped {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Job(outage(error))
    }
}

/// What a reading needs is down, which says nothing of the document: it is waited for, however long that takes.
fn postponed(reason: &impl std::fmt::Display) -> JobError {
    JobError::Postponed { reason: reason.to_string(), after: LEAVE_ALONE }
}

/// A store that cannot be reached is waited for. Not so where the whole reading is written: what takes a statement too long
/// looks the same, and would be tried for ever.
fn outage(error: StoreError) -> JobError {
    let away = matches!(error, StoreError::Unavailable(_));
    match error.into() {
        JobError::Retry { reason, .. } if away => postponed(&reason),
        other => other,
    }
}

#[async_trait]
impl JobHandler for IngestDocument {
    fn spec(&self) -> KindSpec {
        let retry = RetryPolicy { max_attempts: 6, base: Duration::from_secs(2), cap: Duration::from_mins(5) };
        KindSpec {
            concurrency: 2,
            timeout: Duration::from_mins(30),
            retry,
            ..KindSpec::new(
                INGEST_DOCUMENT,
                "Reads a document: parses it, cuts it into passages, embeds and publishes them.",
            )
        }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        read_payload(payload).map(drop)
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        let (id, version) = read_payload(payload).map_err(JobError::Fatal)?;
        let tenant = context.tenant_id();
        if !self.documents.begin(tenant, id, version).await.map_err(outage)? {
            // Replaced or deleted meanwhile, or read or given up already.
            return Ok(Outcome::Done);
        }
        let found = self.documents.get(tenant, id).await.map_err(outage)?;
        let Some(document) = found else { return Ok(Outcome::Done) };
        let published = match self.read(context, &document, version).await {
            Ok(reading) => {
                let published = self.documents.publish(&reading, context.lease).await?;
                if published == Published::Done && reading.chunks.iter().any(|new| new.embedding.is_some()) {
                    self.catch_up(tenant).await;
                }
                published
            }
            Err(Stopped::Failed(failure)) => {
                tracing::warn!(%id, code = %failure.code, reason = failure.reason, "a document cannot be read");
                self.documents.fail(tenant, id, version, &failure, context.lease).await?
            }
            Err(Stopped::Job(error)) => return Err(error),
        };
        match published {
            Published::Done => Ok(Outcome::Committed),
            Published::Outdated => Ok(Outcome::Done),
            Published::LeaseLost => Err(JobError::LeaseLost),
        }
    }
}

fn read_payload(payload: &Value) -> Result<(DocumentId, u32), String> {
    let id =
        payload["document_id"].as_str().and_then(|text| text.parse().ok()).ok_or("`document_id` must be a UUID")?;
    let version = payload["version"].as_u64().and_then(|version| u32::try_from(version).ok());
    Ok((id, version.ok_or("`version` must be a number")?))
}

impl IngestDocument {
    async fn read(&self, context: &JobContext, document: &Document, version: u32) -> Result<Reading, Stopped> {
        let bytes = self.bytes(document).await?;
        context.progress(10).await?;
        let extracted = self.parse(context, document, bytes).await?;
        context.progress(30).await?;
        let (extracted, chunks) = self.cut(document, version, extracted, context.attempt).await?;
        context.go_on()?;
        context.progress(40).await?;
        let embeddings = self.embed(context, &chunks).await?;
        context.progress(95).await?;
        let with_embedding =
            |chunk: Chunk| NewChunk { embedding: embeddings.get(&chunk.content_sha256).cloned(), chunk };
        Ok(Reading {
            tenant_id: document.tenant_id,
            document_id: document.id,
            version,
            title: extracted.title,
            language: extracted.language,
            text: DocumentText { generation: version, text: extracted.text, page_starts: extracted.page_starts },
            chunks: chunks.into_iter().map(with_embedding).collect(),
        })
    }

    /// The model is there: passages that went without get their vectors, too. The document is published whatever comes of it.
    async fn catch_up(&self, tenant: TenantId) {
        if let Err(error) = self.later.enqueue(tenant).await {
            tracing::warn!(%error, "passages without embeddings wait for the schedule");
        }
    }

    async fn bytes(&self, document: &Document) -> Result<Bytes, Stopped> {
        if document.size_bytes > BYTES_MAX {
            let reason = format!("the file has {} bytes; at most {BYTES_MAX} are read", document.size_bytes);
            return Err(Stopped::Failed(Failure { code: FailureCode::TooLarge, reason }));
        }
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&document.sha256, &mut sha256).map_err(StoreError::internal)?;
        let address = ContentAddress { tenant_id: document.tenant_id, sha256 };
        let Some(mut stream) = self.blobs.read(address, 0..document.size_bytes).await? else {
            return Err(Stopped::Job(JobError::retry("the bytes of the document are not there")));
        };
        let mut bytes = BytesMut::with_capacity(usize::try_from(document.size_bytes).unwrap_or_default());
        while let Some(part) = stream.try_next().await? {
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    async fn parse(&self, context: &JobContext, document: &Document, bytes: Bytes) -> Result<Extracted, Stopped> {
        let name = document.source.rsplit('/').next().unwrap_or_default().to_owned();
        let file = FileToParse { name, media_type: document.media_type.clone(), bytes };
        self.parser.parse(file).await.map_err(|error| match error {
            ParseError::Refused(failure) => Stopped::Failed(failure),
            ParseError::Died(reason) if context.attempt >= DEATHS => {
                Stopped::Failed(Failure { code: FailureCode::ParserFailed, reason })
            }
            error @ ParseError::Unavailable(_) => Stopped::Job(postponed(&error)),
            error @ ParseError::Died(_) => Stopped::Job(JobError::retry(error)),
        })
    }

    /// Cutting millions of characters takes a while, so it happens where blocking is allowed.
    async fn cut(
        &self,
        document: &Document,
        version: u32,
        extracted: Extracted,
        attempt: u32,
    ) -> Result<(Extracted, Vec<Chunk>), Stopped> {
        let collections = self.documents.collections(document.tenant_id).await?;
        let collection = collections.into_iter().find(|collection| collection.id == document.collection_id);
        let chunking = collection.as_ref().map_or_else(Chunking::default, |collection| collection.chunking);
        let plugin = collection.as_ref().and_then(|collection| self.chunkers.of(&collection.name));
        let given = match plugin {
            Some(plugin) => {
                let passages = self.chunkers.cut(plugin, &extracted.text, chunking).await;
                Some(passages.map_err(|error| not_cut(error, attempt))?)
            }
            None => None,
        };
        let (document, clock) = (document.clone(), self.clock.clone());
        let cutting = tokio::task::spawn_blocking(move || {
            let passages = given.unwrap_or_else(|| chunking.cut(&extracted));
            let chunks = chunks(&document, version, &extracted, passages, clock.as_ref());
            (extracted, chunks)
        });
        let (extracted, chunks) =
            cutting.await.map_err(|_| JobError::retry("cutting the text panicked; see the log"))?;
        Ok((extracted, chunks.map_err(Stopped::Failed)?))
    }

    /// Embeddings by content: those that equal passages of this tenant have already, and fresh ones for the rest.
    async fn embed(&self, context: &JobContext, chunks: &[Chunk]) -> Result<HashMap<[u8; 32], Vec<f32>>, Stopped> {
        let hashes: Vec<_> = chunks.iter().map(|chunk| chunk.content_sha256).collect();
        let known = self.chunks.known_embeddings(context.tenant_id(), &hashes).await?;
        let mut found: HashMap<_, _> = known.into_iter().collect();
        let mut waiting: Vec<&Chunk> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for chunk in chunks {
            if !found.contains_key(&chunk.content_sha256) && seen.insert(chunk.content_sha256) {
                waiting.push(chunk);
            }
        }
        let total = waiting.len().max(1);
        for (batch, number) in waiting.chunks(BATCH).zip(1..) {
            context.go_on()?;
            let texts: Vec<String> =
                batch.iter().map(|chunk| with_headings(&chunk.heading_path, &chunk.text)).collect();
            let vectors = match self.embedder.embed(&texts, Urgency::Bulk).await {
                Ok(vectors) => vectors,
                Err(EmbedderError::NotInstalled(reason)) => {
                    tracing::warn!(reason, "passages are kept without embeddings");
                    return Ok(found);
                }
                Err(error @ EmbedderError::Busy) => return Err(Stopped::Job(postponed(&error))),
                Err(error) => return Err(Stopped::Job(JobError::retry(error))),
            };
            if vectors.len() != batch.len() || vectors.iter().any(|vector| vector.len() != DIMENSIONS) {
                return Err(Stopped::Job(JobError::Fatal(format!(
                    "the model's vectors have not {DIMENSIONS} numbers"
                ))));
            }
            found.extend(batch.iter().map(|chunk| chunk.content_sha256).zip(vectors));
            let share = (number * BATCH).min(total) * 55 / total;
            context.progress(40 + u8::try_from(share).unwrap_or(55)).await?;
        }
        Ok(found)
    }
}

/// The passages with what is known of each: pages, the headings above it, and under which hash its embedding is kept.
fn chunks(
    document: &Document,
    version: u32,
    extracted: &Extracted,
    passages: Vec<Passage>,
    clock: &dyn Clock,
) -> Result<Vec<Chunk>, Failure> {
    if passages.len() > CHUNKS_MAX {
        let reason = format!("the document has {} passages; at most {CHUNKS_MAX} are kept", passages.len());
        return Err(Failure { code: FailureCode::TooLarge, reason });
    }
    let mut headings = extracted.heading_walk();
    let chunks = passages.into_iter().zip(0_u32..).map(|(passage, ordinal)| {
        let pages = extracted.pages_of(passage.char_start, passage.char_end);
        let heading_path = headings.above(passage.char_start);
        Chunk {
            id: ChunkId(clock.new_id()),
            document_id: document.id,
            collection_id: document.collection_id,
            generation: version,
            ordinal,
            page_from: pages.map(|(from, _)| from),
            page_to: pages.map(|(_, to)| to),
            char_start: passage.char_start,
            char_end: passage.char_end,
            token_count: passage.token_count,
            content_sha256: Sha256::digest(with_headings(&heading_path, &passage.text)).into(),
            heading_path,
            text: passage.text,
            confidentiality: document.confidentiality,
            created_by: document.created_by,
        }
    });
    Ok(chunks.collect())
}

/// What a plugin cannot cut is not cut in another way than its collection wants.
fn not_cut(error: ChunkerError, attempt: u32) -> Stopped {
    if error.is_transient() {
        return Stopped::Job(postponed(&error));
    }
    if error.is_death() && attempt < DEATHS {
        return Stopped::Job(JobError::retry(error));
    }
    Stopped::Failed(Failure { code: FailureCode::ParserFailed, reason: error.to_string() })
}

/// The payload of the job for a version of a document.
pub fn payload(document: DocumentId, version: u32) -> Value {
    serde_json::json!({"document_id": document, "version": version})
}
