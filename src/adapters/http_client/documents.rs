//! Fetches small documents from a service that the configuration names.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};

/// Why a document could not be had. The words are safe to show: no address and no byte of the answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke, or it took too long.
    #[error("does not answer")]
    Unreachable(#[source] reqwest::Error),
    /// Anything but 200; a redirect, too.
    #[error("answers with status {0}")]
    Status(u16),
    /// The document goes beyond the bound.
    #[error("answers with more than {0} bytes")]
    TooLarge(usize),
}

/// A client for documents of bounded size.
#[derive(Debug, Clone)]
pub struct Documents {
    client: Client,
    largest: usize,
}

impl Documents {
    /// A client that waits for `timeout` at most and reads `largest` bytes at most.
    ///
    /// # Errors
    /// When the machine's certificates cannot be loaded.
    pub fn new(timeout: Duration, largest: usize) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("docket/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, largest })
    }

    /// The body of the document at `url`.
    ///
    /// # Errors
    /// When the service does not answer 200 with a body within the bounds.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        let mut response = self.client.get(url).header("accept", "application/json").send().await?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        // The announced length is not believed: what arrives is counted.
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.largest {
                return Err(FetchError::TooLarge(self.largest));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url())
    }
}
