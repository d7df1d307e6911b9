//! The port for reading the text of a file.

use async_trait::async_trait;
use bytes::Bytes;
use docket_domain::document::{Extracted, Failure};

/// A file to be read.
#[derive(Debug, Clone)]
pub struct FileToParse {
    /// Its name, without a path; its extension may tell dialects of a media type apart.
    pub name: String,
    /// What kind of file it is.
    pub media_type: String,
    /// All of it.
    pub bytes: Bytes,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// The file cannot be read, now or later: encrypted, broken, empty, too large, a bomb, of no known kind.
    #[error("{}: {}", .0.code, .0.reason)]
    Refused(Failure),
    /// The parser died of the file or did not end in time. Another attempt may show whether it was the file.
    #[error("the parser did not survive this file: {0}")]
    Died(String),
    /// Nobody can parse at the moment: no worker runs, or too many files wait.
    #[error("no parser is free: {0}")]
    Unavailable(String),
}

/// Reads the text of files.
///
/// Contract: `parse` never blocks the runtime, ends within the time that the adapter is given for a file (that is `Died`),
/// and whatever the file does, at most the parser's own process suffers. What it returns passes [`Extracted::check`], and
/// its text is not blank.
#[async_trait]
pub trait DocumentParser: Send + Sync + 'static {
    /// Reads one file.
    async fn parse(&self, file: FileToParse) -> Result<Extracted, ParseError>;
    /// The media types that can be read now.
    async fn media_types(&self) -> Vec<String>;
}
