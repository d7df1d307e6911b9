//! Fetches documents behind the same guard as webhooks: judged addresses, no redirects, no proxy, bounds on time and size.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::Response;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::webhook_sender::{HttpWebhookSender, SenderSettings, words};
use crate::application::ports::document_fetcher::{DocumentFetcher, FetchFailure, Fetched};

/// Documents fetched at once by one process.
const AT_ONCE: usize = 8;
/// How long a fetch waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// [`DocumentFetcher`] by reqwest.
pub struct HttpDocumentFetcher {
    sender: HttpWebhookSender,
    turns: Arc<Semaphore>,
}

impl HttpDocumentFetcher {
    /// A fetcher; fails only if TLS cannot be set up.
    pub fn new(settings: SenderSettings) -> Result<Self, reqwest::Error> {
        Ok(Self { sender: HttpWebhookSender::new(settings)?, turns: Arc::new(Semaphore::new(AT_ONCE)) })
    }
}

#[async_trait]
impl DocumentFetcher for HttpDocumentFetcher {
    async fn fetch(&self, url: &str, limit: u64) -> Result<Fetched, FetchFailure> {
        let url = self.sender.read(url).map_err(FetchFailure::Refused)?;
        let turn = tokio::time::timeout(TURN, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(FetchFailure::Busy) };
        let agent = concat!("docket/", env!("CARGO_PKG_VERSION"));
        let sent = self.sender.client.get(url).header(USER_AGENT, agent).send();
        let response = sent.await.map_err(|error| FetchFailure::Failed(words(&error)))?;
        if response.status() != http::StatusCode::OK {
            let status = response.status().as_u16();
            return Err(FetchFailure::Failed(format!("the address answers {status}; only 200 gives a document")));
        }
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(FetchFailure::TooLarge { limit });
        }
        let said = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = Body { response, left: limit, limit, _turn: turn };
        Ok(Fetched { media_type, bytes: stream::try_unfold(body, Body::next).boxed() })
    }
}

/// A body on its way, and the turn that it holds until it has ended.
struct Body {
    response: Response,
    left: u64,
    limit: u64,
    _turn: OwnedSemaphorePermit,
}

impl Body {
    /// The announced length is not believed: what arrives is counted.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, FetchFailure> {
        let part = self.response.chunk().await.map_err(|error| FetchFailure::Failed(words(&error)))?;
        let Some(part) = part else { return Ok(None) };
        let left = self.left.checked_sub(part.len() as u64);
        self.left = left.ok_or(FetchFailure::TooLarge { limit: self.limit })?;
        Ok(Some((part, self)))
    }
}
