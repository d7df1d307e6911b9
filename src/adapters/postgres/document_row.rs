//! From rows to documents and passages.

use docket_domain::document::{Chunk, Chunking, Collection, Document, Failure};
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::{hash32, unsigned};
use super::error::unreadable;
use crate::application::ports::StoreError;

/// A row of `docket.documents`.
#[derive(Debug)]
pub(super) struct DocumentRow {
    pub tenant_id: Uuid,
    pub id: Uuid,
    pub collection_id: Uuid,
    pub title: String,
    pub source: String,
    pub url: Option<String>,
    pub media_type: String,
    pub sha256: Vec<u8>,
    pub size_bytes: i64,
    pub language: Option<String>,
    pub confidentiality: String,
    pub status: String,
    pub failure_code: Option<String>,
    pub failure_reason: Option<String>,
    pub version: i32,
    pub generation: i32,
    pub pages: Option<i32>,
    pub chunk_count: i32,
    pub job_id: Option<Uuid>,
    pub created_by: Uuid,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
}

/// A number that the table's checks keep from being negative.
pub(super) fn natural(value: i32) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

/// A number for a column; what is larger than the column holds becomes the largest.
pub(super) fn integer(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl DocumentRow {
    pub(super) fn read(self) -> Result<Document, StoreError> {
        let failure = match (self.failure_code, self.failure_reason) {
            (Some(code), Some(reason)) => Some(Failure { code: code.parse().map_err(unreadable)?, reason }),
            _ => None,
        };
        Ok(Document {
            id: DocumentId(self.id),
            tenant_id: TenantId(self.tenant_id),
            collection_id: CollectionId(self.collection_id),
            title: self.title,
            source: self.source,
            url: self.url,
            media_type: self.media_type,
            sha256: hex::encode(hash32(self.sha256)?),
            size_bytes: unsigned(self.size_bytes),
            language: self.language,
            confidentiality: self.confidentiality.parse().map_err(unreadable)?,
            status: self.status.parse().map_err(unreadable)?,
            failure,
            version: natural(self.version),
            generation: natural(self.generation),
            pages: self.pages.map(natural),
            chunk_count: natural(self.chunk_count),
            job_id: self.job_id,
            created_by: PrincipalId(self.created_by),
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// A row of `docket.collections`.
#[derive(Debug)]
pub(super) struct CollectionRow {
    pub id: Uuid,
    pub name: String,
    pub chunking_strategy: String,
    pub chunk_size: i32,
    pub chunk_overlap: i32,
    pub created_by: Uuid,
    pub created_at: OffsetDateTime,
}

impl CollectionRow {
    pub(super) fn read(self) -> Result<Collection, StoreError> {
        Ok(Collection {
            id: CollectionId(self.id),
            name: self.name,
            chunking: Chunking {
                strategy: self.chunking_strategy.parse().map_err(unreadable)?,
                size: natural(self.chunk_size),
                overlap: natural(self.chunk_overlap),
            },
            created_by: PrincipalId(self.created_by),
            created_at: self.created_at,
        })
    }
}

/// A row of `docket.chunks` without its embedding.
#[derive(Debug)]
pub(super) struct ChunkRow {
    pub id: Uuid,
    pub document_id: Uuid,
    pub collection_id: Uuid,
    pub generation: i32,
    pub ordinal: i32,
    pub text: String,
    pub heading_path: Vec<String>,
    pub page_from: Option<i32>,
    pub page_to: Option<i32>,
    pub char_start: i32,
    pub char_end: i32,
    pub token_count: i32,
    pub content_sha256: Vec<u8>,
    pub confidentiality: String,
    pub created_by: Uuid,
}

impl ChunkRow {
    pub(super) fn read(self) -> Result<Chunk, StoreError> {
        Ok(Chunk {
            id: ChunkId(self.id),
            document_id: DocumentId(self.document_id),
            collection_id: CollectionId(self.collection_id),
            generation: natural(self.generation),
            ordinal: natural(self.ordinal),
            text: self.text,
            heading_path: self.heading_path,
            page_from: self.page_from.map(natural),
            page_to: self.page_to.map(natural),
            char_start: natural(self.char_start),
            char_end: natural(self.char_end),
            token_count: natural(self.token_count),
            content_sha256: hash32(self.content_sha256)?,
            confidentiality: self.confidentiality.parse().map_err(unreadable)?,
            created_by: PrincipalId(self.created_by),
        })
    }
}
