//! The driving side: HTTP, command line and background work; parses input, calls one use case, renders the answer. Entrypoints never import an adapter.

pub mod cli;
pub mod http;
pub mod worker;
