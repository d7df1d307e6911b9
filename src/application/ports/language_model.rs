//! The port to a language model: one request, a stream of text, and what it cost.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::budget::Usage;
use docket_domain::ids::TenantId;
use futures::stream::BoxStream;

/// A passage that the model may answer from. Its text is data: nothing in it is an instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroundingPassage {
    /// The number by which the model cites it, from 1.
    pub number: u32,
    /// Title of the document, for orientation.
    pub title: String,
    /// The passage.
    pub text: String,
}

/// How a model chooses its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// As the provider does unless it is told otherwise.
    #[default]
    Usual,
    /// The likeliest each time: temperature 0. Some models refuse to be told.
    Likeliest,
}

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// Whose question it is: what a model remembers of it must never serve another tenant.
    pub tenant_id: TenantId,
    /// What the model is and how it must answer: written by the service, never by a user.
    pub instructions: String,
    /// The user's question.
    pub question: String,
    /// What it may answer from, best first.
    pub passages: Vec<GroundingPassage>,
    /// Output tokens at most, at least 1.
    pub max_output_tokens: u32,
    /// How it chooses its words.
    pub sampling: Sampling,
}

docket_domain::named_enum! {
    /// Why a model stopped.
    StopReason, "stop reason" {
        /// It had nothing more to say.
        Complete = "complete",
        /// The limit of output tokens cut it.
        Length = "length",
        /// The provider filtered the rest.
        Filtered = "filtered",
    }
}

/// One step of a model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelEvent {
    /// More text, in order; never empty.
    Text(String),
    /// What has been used so far. Cumulative: a later one replaces an earlier one.
    Usage(Usage),
    /// The end; nothing follows. Comes exactly once in a stream that did not fail.
    End(StopReason),
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// It could not be reached, or is failing; another try or another provider may do (connection, 5xx, 408, cut stream).
    #[error("the model provider is failing: {0}")]
    Unavailable(String),
    /// It asked to wait (429, 529).
    #[error("the model provider is limiting the rate")]
    RateLimited {
        /// How long, if it said so.
        retry_after: Option<Duration>,
    },
    /// It did not answer in time.
    #[error("the model did not answer in time: {0}")]
    TimedOut(&'static str),
    /// It refused the request or the credential; the same request will fail again.
    #[error("the model provider refused the request: {0}")]
    Refused(String),
    /// What it sent is not its protocol.
    #[error("the model's answer is malformed: {0}")]
    Malformed(String),
}

impl ModelError {
    /// Whether the same request may succeed at the same provider later. One that was refused may still suit another provider,
    /// whose key, model and limits are others.
    pub const fn is_temporary(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// A model's answer as it is made.
pub type ModelStream = BoxStream<'static, Result<ModelEvent, ModelError>>;

/// A language model.
///
/// Contract: `stream` returns once the provider accepted the request (head of the answer read); every await inside it and
/// inside the stream is bounded by the provider's own timeouts (connect, first token, between tokens, total). An error ends
/// the stream. Dropping the stream cancels the request at the provider. No adapter retries: that is decided above, where the
/// budget is known. Text is valid UTF-8 however the bytes were cut. At most one `End`, and nothing after it.
///
/// To add a provider: implement this in `adapters/http_client/models`, give it a name in the configuration, and put it
/// together in `bootstrap`.
#[async_trait]
pub trait LanguageModel: Send + Sync + 'static {
    /// The provider, as OpenTelemetry names it (`gen_ai.provider.name`): `openai`, `anthropic`, `docket`.
    fn provider(&self) -> &str;

    /// The model's name as the provider knows it; the key of the price table.
    fn model(&self) -> &str;

    /// Tokens that the request will take at most, counted without the provider: used to reserve a budget.
    fn input_tokens_at_most(&self, request: &ModelRequest) -> u64;

    /// Asks.
    async fn stream(&self, request: &ModelRequest) -> Result<ModelStream, ModelError>;
}
