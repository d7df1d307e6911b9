//! Answering from documents: what was found, what a model made of it, and what of that can be shown with its source.

pub mod answer;
pub mod answer_question;
pub mod answering;
pub mod embed_passages;
pub mod embedding_cache;
pub mod follow_passages;
pub mod ingest_document;
pub mod judge_answer;
pub mod library;
pub mod own_vectors;
pub mod passages;
pub mod plugin_chunkers;
pub mod plugin_reranker;
pub mod read_usage;
mod reranking;
pub mod search;
pub mod search_cache;
pub mod search_order;
pub mod settling;
