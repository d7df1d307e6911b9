//! What answering needs, and the bounds it keeps.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::budget::{PriceTable, Unpriced};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::answer::AnswerModel;
use super::passages::FindPassages;
use crate::application::models::{PrefixCache, Tab};
use crate::application::ports::language_model::{LanguageModel, ModelError, ModelRequest, ModelStream};
use crate::application::ports::{AnswerStore, Clock, UsageLedger};

/// A model that accepted a request.
pub struct Asked {
    /// What it says.
    pub stream: ModelStream,
    /// Who it is, and how many requests it took to get there.
    pub model: AnswerModel,
}

/// Asks one of several models.
///
/// Contract: requests are repeated or sent elsewhere only before the first text; every wait ends by `deadline`. What attempts
/// used that came to nothing is on the tab when this ends, also when it is dropped; what the returned stream uses is not.
#[async_trait]
pub trait AskModels: Send + Sync + 'static {
    /// The models that may be asked.
    fn models(&self) -> Vec<Arc<dyn LanguageModel>>;

    /// Asks.
    async fn ask(&self, request: &ModelRequest, deadline: Instant, tab: &Tab) -> Result<Asked, ModelError>;
}

/// What the dearest of the models can cost for this request, in nano-dollars; fails when one of them has no price.
pub fn cost_at_most(models: &dyn AskModels, prices: &PriceTable, request: &ModelRequest) -> Result<u64, Unpriced> {
    let costs = models.models().into_iter().map(|model| {
        let price = prices.price(model.model())?;
        Ok(price.cost_at_most(model.input_tokens_at_most(request), u64::from(request.max_output_tokens)))
    });
    Ok(costs.collect::<Result<Vec<u64>, Unpriced>>()?.into_iter().max().unwrap_or_default())
}

/// Bounds of an answer.
#[derive(Debug, Clone, Copy)]
pub struct AnswerRules {
    /// From the question to the end of the answer.
    pub timeout: Duration,
    /// Output tokens at most.
    pub max_output_tokens: u32,
    /// Passages that a model gets.
    pub passages: usize,
    /// Whether they are reranked before.
    pub rerank: bool,
    /// A tenant's monthly budget unless it has one of its own, in nano-dollars.
    pub default_budget_nanos: u64,
    /// How long an idempotency key is remembered.
    pub key_lifetime: time::Duration,
}

/// The parts of answering; one for the process.
#[derive(Clone)]
pub struct Answering {
    /// Finds passages.
    pub passages: Arc<dyn FindPassages>,
    /// The models, in the order in which they are tried.
    pub models: Arc<dyn AskModels>,
    /// How the prompts of earlier questions began.
    pub prefixes: PrefixCache,
    /// What they cost.
    pub prices: Arc<PriceTable>,
    /// Keeps answers.
    pub answers: Arc<dyn AnswerStore>,
    /// Keeps account.
    pub ledger: Arc<dyn UsageLedger>,
    /// The time and ids.
    pub clock: Arc<dyn Clock>,
    /// Room for answers at once in this process.
    pub room: Arc<Semaphore>,
    /// Bounds.
    pub rules: AnswerRules,
}
