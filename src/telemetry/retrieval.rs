//! Retrieval, measured: embeddings and searches.

use metrics::Unit;

use super::metrics::{Kind, Metric};

/// Time of one batch in the embedding model.
pub const EMBEDDING: &str = "docket_embedding_batch_seconds";

/// Every metric of retrieval.
pub const METRICS: &[Metric] = &[Metric {
    name: EMBEDDING,
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    help: "Time of one batch in the embedding model, for questions and for documents.",
    labels: &["lane"],
}];
