//! Fetches documents behind the same guard as webhooks: judged addresses, no redirects, no proxy, bounds on time and size.

use async_trait::async_trait;
use bytes::BytesMut;
use http::header::{CONTENT_TYPE, USER_AGENT};

use super::webhook_sender::{HttpWebhookSender, SenderSettings, words};
use crate::application::ports::document_fetcher::{DocumentFetcher, FetchFailure, Fetched};

/// [`DocumentFetcher`] by reqwest.
pub struct HttpDocumentFetcher(HttpWebhookSender);

impl HttpDocumentFetcher {
    /// A fetcher; fails only if TLS cannot be set up.
    pub fn new(settings: SenderSettings) -> Result<Self, reqwest::Error> {
        HttpWebhookSender::new(settings).map(Self)
    }
}

#[async_trait]
impl DocumentFetcher for HttpDocumentFetcher {
    async fn fetch(&self, url: &str, limit: u64) -> Result<Fetched, FetchFailure> {
        let url = self.0.read(url).map_err(FetchFailure::Refused)?;
        let agent = concat!("docket/", env!("CARGO_PKG_VERSION"));
        let sent = self.0.client.get(url).header(USER_AGENT, agent).send();
        let mut response = sent.await.map_err(|error| FetchFailure::Failed(words(&error)))?;
        if response.status() != http::StatusCode::OK {
            let status = response.status().as_u16();
            return Err(FetchFailure::Failed(format!("the address answers {status}; only 200 gives a document")));
        }
        let said = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut bytes = BytesMut::new();
        loop {
            let part = response.chunk().await.map_err(|error| FetchFailure::Failed(words(&error)))?;
            let Some(part) = part else { break };
            if (bytes.len() + part.len()) as u64 > limit {
                return Err(FetchFailure::TooLarge { limit });
            }
            bytes.extend_from_slice(&part);
        }
        Ok(Fetched { bytes: bytes.freeze(), media_type })
    }
}
