//! Retrieval, measured: embeddings and searches.

use metrics::Unit;

use super::metrics::{Kind, Metric};

/// Time of one batch in the embedding model.
pub const EMBEDDING: &str = "docket_embedding_batch_seconds";
/// Vectors of questions that were remembered or not.
pub const EMBEDDING_CACHE: &str = "docket_embedding_cache_total";
/// Searches that were answered from what an earlier one found, or not.
pub const SEARCH_CACHE: &str = "docket_search_cache_total";
/// Time of one stage of a search.
pub const SEARCH: &str = "docket_search_stage_seconds";

/// Every metric of retrieval.
pub const METRICS: &[Metric] = &[
    Metric {
        name: EMBEDDING,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time of one batch in the embedding model, for questions and for documents.",
        labels: &["lane"],
    },
    Metric {
        name: EMBEDDING_CACHE,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Questions whose vector was remembered (hit) or computed (miss).",
        labels: &["outcome"],
    },
    Metric {
        name: SEARCH_CACHE,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Searches whose order was remembered (hit), was not (miss), or named passages that are gone or hidden by now (stale).",
        labels: &["outcome"],
    },
    Metric {
        name: SEARCH,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time of one stage of a search: keywords, meaning, read, rerank, diversity.",
        labels: &["stage"],
    },
];
