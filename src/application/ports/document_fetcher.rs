//! The port for fetching a document that somebody names by its address.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;

/// A document as it comes.
pub type FetchedBytes = Pin<Box<dyn Stream<Item = Result<Bytes, FetchFailure>> + Send>>;

/// What an address gives.
pub struct Fetched {
    /// The document. Dropping it ends the transfer.
    pub bytes: FetchedBytes,
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
    /// Too many documents are being fetched already; the same request may succeed later.
    #[error("too many documents are being fetched")]
    Busy,
}

/// Fetches documents from the public internet.
///
/// Contract: what leads to an address inside the house is refused before a byte is sent, whatever the name resolves to and
/// however the address is written; no redirect is followed; time, size and the number of documents on their way at once are
/// bounded, and no document is held in memory as a whole.
#[async_trait]
pub trait DocumentFetcher: Send + Sync + 'static {
    /// Begins to fetch one document; beyond `limit` bytes it ends as too large.
    async fn fetch(&self, url: &str, limit: u64) -> Result<Fetched, FetchFailure>;
}
