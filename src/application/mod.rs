//! Use cases, one per file, and the ports they need. Nothing here knows HTTP, SQL or a file system.

pub mod audit;
pub mod bulk;
pub mod cases;
pub mod demo;
pub mod enrichment;
pub mod error;
pub mod evaluation;
pub mod events;
pub mod evidence;
pub mod jobs;
pub mod knowledge;
pub mod models;
pub mod ports;
pub mod request;
pub mod tenancy;
pub mod webhooks;
