//! Finding the passages that a question is answered from, as answering sees it.

use async_trait::async_trait;
use docket_domain::case::Confidentiality;
use uuid::Uuid;

use crate::application::error::UseCaseError;
use crate::application::request::Caller;

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageQuery {
    /// The question.
    pub question: String,
    /// Only documents of the collection with this name.
    pub collection: Option<String>,
    /// Passages at most.
    pub limit: usize,
    /// Whether the first candidates are looked at again, by the reranker that is set up.
    pub rerank: bool,
}

/// A passage that was found, with everything that a citation needs.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundPassage {
    /// The chunk.
    pub chunk_id: Uuid,
    /// Its document.
    pub document_id: Uuid,
    /// The document's title.
    pub title: String,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// The passage.
    pub text: String,
    /// The page it begins on, from 1; none in formats without pages.
    pub page_from: Option<u32>,
    /// The page it ends on.
    pub page_to: Option<u32>,
    /// Where it begins in the document's extracted text, in code points.
    pub char_start: u32,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// How well it fits, larger is better; only to be compared within one answer.
    pub score: f64,
}

/// Finds passages.
///
/// Contract: everything that is returned belongs to the caller's tenant and may be seen by the caller; best first; at most
/// `limit`; needs the scope `knowledge:read`.
#[async_trait]
pub trait FindPassages: Send + Sync + 'static {
    /// Looks.
    async fn find(&self, caller: &Caller, query: &PassageQuery) -> Result<Vec<FoundPassage>, UseCaseError>;
}
