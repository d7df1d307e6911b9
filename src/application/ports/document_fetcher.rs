//! The port for fetching a document that somebody names by its address.

use async_trait::async_trait;
use bytes::Bytes;

/// What an address gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// All of it.
    pub bytes: Bytes,
    /// The media type that the server says, without parameters; empty when it says none.
    pub media_type: String,
}

/// Why an address gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailure {
    /// The address may not be called, or is none. The words are for whoever named it.
    #[error("{0}")]
    Refused(String),
    /// The server did not answer with a document. The words say no more than whoever named it may know.
    #[error("{0}")]
    Failed(String),
    /// It is larger than asked for.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
}

/// Fetches documents from the public internet.
///
/// Contract: what leads to an address inside the house is refused before a byte is sent, whatever the name resolves to and
/// however the address is written; no redirect is followed; time and size are bounded.
#[async_trait]
pub trait DocumentFetcher: Send + Sync + 'static {
    /// Fetches one document of at most `limit` bytes.
    async fn fetch(&self, url: &str, limit: u64) -> Result<Fetched, FetchFailure>;
}
