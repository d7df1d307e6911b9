//! What a search asks for, and what it finds.

use docket_domain::case::Confidentiality;
use docket_domain::ids::DocumentId;

use crate::application::ports::passage_index::{Found, Method};

/// How the two lists become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Fusion {
    /// The convex combination of scores, in which words weigh more than meaning.
    #[default]
    Convex,
    /// Reciprocal rank fusion.
    ReciprocalRank,
    /// The words alone.
    Keywords,
    /// The meaning alone.
    Meaning,
}

impl std::str::FromStr for Fusion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "convex" => Ok(Self::Convex),
            "rrf" => Ok(Self::ReciprocalRank),
            "keywords" => Ok(Self::Keywords),
            "meaning" => Ok(Self::Meaning),
            _ => Err("must be one of: convex, rrf, keywords, meaning"),
        }
    }
}

/// A search.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchOrder {
    /// What is looked for, in plain words.
    pub query: String,
    /// Only the collection of this name.
    pub collection: Option<String>,
    /// Only these documents; empty for any.
    pub documents: Vec<DocumentId>,
    /// Only these confidentialities; empty for any.
    pub confidentialities: Vec<Confidentiality>,
    /// Passages at most.
    pub limit: usize,
    /// How the two lists become one.
    pub fusion: Fusion,
    /// Whether the first candidates are compared token by token, which takes long.
    pub rerank: bool,
    /// From 0 (only variety counts) to 1 (only relevance counts): maximal marginal relevance, if at all.
    pub diversity: Option<f64>,
}

/// A place in the list of one stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// From 1.
    pub rank: u32,
    /// As the stage counts; only to be compared within it.
    pub score: f64,
}

/// Where each stage saw a passage; none where it did not.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Places {
    /// By words (BM25).
    pub keywords: Option<Place>,
    /// By meaning (cosine).
    pub meaning: Option<Place>,
    /// After fusion.
    pub fusion: Option<Place>,
    /// After the comparison token by token.
    pub rerank: Option<Place>,
}

/// A passage that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The passage and its document.
    pub found: Found,
    /// The score of the last stage that ordered by score.
    pub score: f64,
    /// Why it stands here.
    pub places: Places,
}

/// What a stage did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageReport {
    /// Its name.
    pub stage: &'static str,
    /// Passages that came out of it.
    pub passages: usize,
    /// Wall time in milliseconds; `keywords` and `meaning` run at the same time.
    pub milliseconds: f64,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<Hit>,
    /// In the order in which they ran.
    pub stages: Vec<StageReport>,
    /// How the nearest passages were found, if they were looked for.
    pub method: Option<Method>,
    /// What was left out, and why, in a sentence for the reader.
    pub degraded: Option<String>,
}
