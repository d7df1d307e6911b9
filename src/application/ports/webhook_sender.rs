//! The port that posts a signed message to a tenant's URL, and judges whether the URL may be called at all.

use std::time::Duration;

use async_trait::async_trait;

/// A message ready to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where.
    pub url: String,
    /// Header names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body, as it was signed.
    pub body: String,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What the receiver asked for in `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The beginning of the answer, or what went wrong.
    pub detail: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// Sends messages.
///
/// Contract: only addresses that [`docket_domain::webhook::refusal`] lets through or that the configuration allows are ever
/// connected to, judged after the name was resolved and with the very address that is connected to; redirects are not
/// followed; no proxy is used; the whole exchange is bounded in time and what is read of the answer in size.
#[async_trait]
pub trait WebhookSender: Send + Sync + 'static {
    /// Why the URL may not be an endpoint, in words for the one who registers it; resolves the name.
    async fn refusal(&self, url: &str) -> Option<String>;

    /// Posts the message.
    async fn send(&self, message: &Message) -> Receipt;
}
