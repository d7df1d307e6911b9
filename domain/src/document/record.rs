//! A document and its collection, as they are kept.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::chunking::Chunking;
use super::names::{DocumentStatus, FailureCode};
use crate::case::Confidentiality;
use crate::ids::{CollectionId, DocumentId, JobId, PrincipalId, TenantId};

/// Documents that belong together and are cut alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Identifier.
    pub id: CollectionId,
    /// The name in requests: 1 to 63 lower-case letters, digits, hyphens and underscores.
    pub name: String,
    /// How its documents are cut.
    pub chunking: Chunking,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Whether the text is a collection's name.
pub fn is_collection_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&name.len()) && !name.starts_with(['-', '_']) && name.bytes().all(fits)
}

/// Why the last reading failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: FailureCode,
    /// For people.
    pub reason: String,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Identifier.
    pub id: DocumentId,
    /// Whose.
    pub tenant_id: TenantId,
    /// To what it belongs.
    pub collection_id: CollectionId,
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
    /// The language it says it is in (BCP 47).
    pub language: Option<String>,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// Where it stands.
    pub status: DocumentStatus,
    /// Why the last reading failed.
    pub failure: Option<Failure>,
    /// How often its content was replaced, from 1.
    pub version: u32,
    /// The version that searches see; 0 before any.
    pub generation: u32,
    /// Number of pages, for formats that have any.
    pub pages: Option<u32>,
    /// Number of passages.
    pub chunk_count: u32,
    /// The job that reads it.
    pub job_id: Option<Uuid>,
    /// Who brought it.
    pub created_by: PrincipalId,
    /// When it came.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When anything about it changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}

impl Document {
    /// The same document waiting to be read anew by `job`.
    #[must_use]
    pub fn queued_again(mut self, job: JobId, now: OffsetDateTime) -> Self {
        self.version += 1;
        self.status = DocumentStatus::Queued;
        self.failure = None;
        self.job_id = Some(job.0);
        self.updated_at = now;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collection_names_are_short_and_plain() {
        for fine in ["a", "cisa-directives", "7", "a_b", &"a".repeat(63)] {
            assert!(is_collection_name(fine), "{fine}");
        }
        for bad in ["", "-a", "_a", "A", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_collection_name(bad), "{bad}");
        }
    }
}
