//! A passage: what a search finds, and where in its document it stands.

use serde::Serialize;

use crate::case::Confidentiality;
use crate::ids::{ChunkId, CollectionId, DocumentId, PrincipalId};

/// A span of a text, before anybody kept it. Offsets count Unicode code points, the end is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Exactly `text[char_start..char_end]`.
    pub text: String,
    /// Where it begins.
    pub char_start: u32,
    /// Where it ends.
    pub char_end: u32,
    /// About how many word pieces a model will make of it; see [`super::chunking::tokens`].
    pub token_count: u32,
}

/// A passage as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Identifier.
    pub id: ChunkId,
    /// Of which document.
    pub document_id: DocumentId,
    /// Of which collection.
    pub collection_id: CollectionId,
    /// Of which reading of the document.
    pub generation: u32,
    /// Its place among the passages of the document, from 0.
    pub ordinal: u32,
    /// Its text.
    pub text: String,
    /// The headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// The page on which it begins, from 1.
    pub page_from: Option<u32>,
    /// The page on which it ends.
    pub page_to: Option<u32>,
    /// Where it begins in the document's text, in code points.
    pub char_start: u32,
    /// Where it ends.
    pub char_end: u32,
    /// About how many word pieces it has.
    pub token_count: u32,
    /// SHA-256 of [`with_headings`] in UTF-8: passages with the same have the same embedding.
    #[serde(skip)]
    pub content_sha256: [u8; 32],
    /// Who may see it: that of its document.
    pub confidentiality: Confidentiality,
    /// Who brought its document.
    pub created_by: PrincipalId,
}

/// What stands for a passage where it is looked for, by words and by meaning: its text below the headings that say what it is
/// about.
pub fn with_headings(headings: &[String], text: &str) -> String {
    if headings.is_empty() { text.to_owned() } else { format!("{}\n{text}", headings.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passage_is_looked_for_below_its_headings() {
        let headings = ["Code".to_owned(), "3. Lines".to_owned()];
        assert_eq!(with_headings(&headings, "Wire ropes: 96 months."), "Code\n3. Lines\nWire ropes: 96 months.");
        assert_eq!(with_headings(&[], "Wire ropes."), "Wire ropes.");
    }
}
