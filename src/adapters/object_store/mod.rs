//! Stores of bytes: a local directory or an S3-compatible bucket, behind the crate `object_store`.

mod blob_store;
mod open;
mod paths;
mod unfinished;

pub use blob_store::ObjectBlobStore;
pub use open::{OpenError, S3Settings, open};
