//! Documents, passages and collections as clients see them, and what a client says when it brings one.

use docket_domain::case::Confidentiality;
use docket_domain::document::record::is_collection_name;
use docket_domain::document::{Chunk, Chunking, ChunkingStrategy, Collection, Document};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Form;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::knowledge::library::{DEFAULT_COLLECTION, SOURCE_BYTES_MAX};

/// Longest source, in characters.
const SOURCE_MAX: usize = 1_000;
/// Longest title.
const TITLE_MAX: usize = 500;

/// A document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document)]
pub struct DocumentBody {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// The collection it belongs to.
    pub collection_id: Uuid,
    /// What it is called.
    pub title: String,
    /// Under which name it came: a path or a URL.
    pub source: String,
    /// Where it was fetched from.
    pub url: Option<String>,
    /// What kind of file it is.
    pub media_type: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Their number.
    pub size_bytes: u64,
    /// The language it says it is in.
    pub language: Option<String>,
    /// public, internal or restricted.
    #[schema(value_type = String)]
    pub confidentiality: Confidentiality,
    /// queued, processing, ready or failed.
    #[schema(value_type = String)]
    pub status: docket_domain::document::DocumentStatus,
    /// Why it could not be read.
    pub failure: Option<FailureBody>,
    /// How often its content was replaced, from 1.
    pub version: u32,
    /// The version that searches see; 0 before any was read.
    pub generation: u32,
    /// Number of pages, for formats that have any.
    pub pages: Option<u32>,
    /// Number of passages.
    pub passages: u32,
    /// The job that reads it.
    pub job_id: Option<Uuid>,
    /// Who brought it.
    pub created_by: Uuid,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When anything about it changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

/// Why a document could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DocumentFailure)]
pub struct FailureBody {
    /// encrypted, broken, empty, `too_large`, bomb, unsupported, `parser_failed` or unreachable.
    #[schema(value_type = String)]
    pub code: docket_domain::document::FailureCode,
    /// A sentence.
    pub reason: String,
}

impl From<&Document> for DocumentBody {
    fn from(document: &Document) -> Self {
        let document = document.clone();
        Self {
            id: document.id.0,
            collection_id: document.collection_id.0,
            title: document.title,
            source: document.source,
            url: document.url,
            media_type: document.media_type,
            sha256: document.sha256,
            size_bytes: document.size_bytes,
            language: document.language,
            confidentiality: document.confidentiality,
            status: document.status,
            failure: document.failure.map(|failure| FailureBody { code: failure.code, reason: failure.reason }),
            version: document.version,
            generation: document.generation,
            pages: document.pages,
            passages: document.chunk_count,
            job_id: document.job_id,
            created_by: document.created_by.0,
            created_at: document.created_at,
            updated_at: document.updated_at,
        }
    }
}

/// A passage of a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passage)]
pub struct PassageBody {
    /// Identifier.
    pub id: Uuid,
    /// Its place in the document, from 0.
    pub ordinal: u32,
    /// Its text.
    pub text: String,
    /// The headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// The page on which it begins, from 1.
    pub page_from: Option<u32>,
    /// The page on which it ends.
    pub page_to: Option<u32>,
    /// Where it begins in the document's text, in Unicode code points.
    pub char_start: u32,
    /// Where it ends.
    pub char_end: u32,
    /// About how many word pieces it has.
    pub token_count: u32,
}

impl From<Chunk> for PassageBody {
    fn from(chunk: Chunk) -> Self {
        Self {
            id: chunk.id.0,
            ordinal: chunk.ordinal,
            text: chunk.text,
            heading_path: chunk.heading_path,
            page_from: chunk.page_from,
            page_to: chunk.page_to,
            char_start: chunk.char_start,
            char_end: chunk.char_end,
            token_count: chunk.token_count,
        }
    }
}

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Collection)]
pub struct CollectionBody {
    /// Identifier.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// recursive, `sentence_window` or `fixed_tokens`.
    #[schema(value_type = String)]
    pub chunking_strategy: ChunkingStrategy,
    /// In tokens, or in sentences.
    pub chunk_size: u32,
    /// What neighbouring passages share at most.
    pub chunk_overlap: u32,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<Collection> for CollectionBody {
    fn from(collection: Collection) -> Self {
        Self {
            id: collection.id.0,
            name: collection.name,
            chunking_strategy: collection.chunking.strategy,
            chunk_size: collection.chunking.size,
            chunk_overlap: collection.chunking.overlap,
            created_at: collection.created_at,
        }
    }
}

/// What a client sends to bring a file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct DocumentForm {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: String,
    /// The collection, `default` if none is named; made when there is none.
    collection: Option<String>,
    /// public, internal (the default) or restricted.
    confidentiality: Option<String>,
    /// Under which name it is kept: the same again replaces it. The file's name if none is sent.
    source: Option<String>,
    /// What it is called, until it was read and says so itself.
    title: Option<String>,
    /// For a new collection: recursive, `sentence_window` or `fixed_tokens`.
    chunking_strategy: Option<String>,
    /// For a new collection: in tokens (16 to 1000), or in sentences (1 to 50).
    chunk_size: Option<u32>,
    /// For a new collection: what neighbouring passages share at most.
    chunk_overlap: Option<u32>,
}

/// What a client sends to have a document fetched.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the body for OpenAPI")]
pub struct DocumentByUrl {
    /// Where it is; `https://`.
    url: String,
    /// As in the form.
    collection: Option<String>,
    /// As in the form.
    confidentiality: Option<String>,
    /// As in the form; the URL if none is sent.
    source: Option<String>,
    /// As in the form.
    title: Option<String>,
}

/// What a client says of a document beside its bytes.
#[derive(Debug)]
pub struct Labels {
    /// The collection.
    pub collection: String,
    /// How a new one is cut.
    pub chunking: Chunking,
    /// Who may see the document.
    pub confidentiality: Confidentiality,
    /// Under which name it is kept.
    pub source: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// Where to fetch it.
    pub url: Option<String>,
}

/// Reads what a client says of a document.
pub fn labels(body: Value) -> Result<Labels, UseCaseError> {
    let mut form = Form::new(body);
    let collection = form.line("collection", 63).unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    if !is_collection_name(&collection) {
        form.error("collection", "must be 1 to 63 lower-case letters, digits, hyphens and underscores");
    }
    let strategy = form.name::<ChunkingStrategy>("chunking_strategy").unwrap_or(ChunkingStrategy::Recursive);
    let usual = Chunking::usual(strategy);
    let number = |value: Option<u64>, usual: u32| value.and_then(|value| u32::try_from(value).ok()).unwrap_or(usual);
    let size = number(form.whole_number("chunk_size", 1, 1_000), usual.size);
    let overlap = number(form.whole_number("chunk_overlap", 0, 1_000), usual.overlap);
    let chunking = Chunking::new(strategy, size, overlap).unwrap_or_else(|invalid| {
        form.error("chunk_size", invalid.0);
        usual
    });
    let labels = Labels {
        collection,
        chunking,
        confidentiality: form.name("confidentiality").unwrap_or(Confidentiality::Internal),
        source: form.line("source", SOURCE_MAX).filter(|source| !source.is_empty()),
        title: form.line("title", TITLE_MAX).filter(|title| !title.is_empty()),
        url: form.line("url", 2_000).filter(|url| !url.is_empty()),
    };
    // An address is a source, too, where none is named.
    for (name, text) in [("source", &labels.source), ("url", &labels.url)] {
        if text.as_ref().is_some_and(|text| text.len() > SOURCE_BYTES_MAX) {
            form.error(name, format!("must have {SOURCE_BYTES_MAX} bytes in UTF-8 at most"));
        }
    }
    let allowed = "collection, confidentiality, source, title, url, chunking_strategy, chunk_size, chunk_overlap";
    form.finish(allowed).map_err(UseCaseError::Invalid)?;
    Ok(labels)
}

/// One mistake.
pub fn invalid(pointer: &str, detail: &str) -> UseCaseError {
    UseCaseError::Invalid(vec![Invalid::new(pointer, detail)])
}
