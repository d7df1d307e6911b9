//! The driven side: each folder implements ports with one technology. Adapters never import each other or an entrypoint.

pub mod bm25;
pub mod embedding;
pub mod http_client;
pub mod nats;
pub mod object_store;
pub mod postgres;
pub mod python;
pub mod system;
