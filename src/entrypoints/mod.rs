//! The driving side: parses input, calls one use case, renders the answer. Entrypoints never import an adapter.

pub mod cli;
pub mod http;
