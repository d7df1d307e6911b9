//! Retrieval: the index of words, the vectors in PostgreSQL, and the search over both through the running service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../support/contract.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod database_support;
#[path = "../api/support/mod.rs"]
#[allow(dead_code)]
mod support;

mod memory;
mod nearest;
mod own_vectors;
mod rebuilt;
mod rerankers;
mod service;
mod words;
