//! The parts of answering from documents.

use std::sync::Arc;
use std::time::Duration;

use docket_domain::answer::ExtractRules;
use docket_domain::budget::price::NANOS_PER_DOLLAR;
use tokio::sync::Semaphore;

use super::Parts;
use crate::adapters::postgres::{PgAnswerStore, PgUsageLedger};
use crate::adapters::system::extractive_model::ExtractiveModel;
use crate::application::knowledge::answer::NOT_FOUND;
use crate::application::knowledge::answering::{AnswerRules, Answering};
use crate::application::knowledge::passages::FindPassages;
use crate::application::ports::LanguageModel;
use crate::config::Config;

impl Parts {
    /// Answers from documents; `passages` finds what they are made from.
    pub fn answering(&self, config: &Config, passages: Arc<dyn FindPassages>) -> anyhow::Result<Answering> {
        let section = &config.answers;
        let offline = ExtractiveModel::new(Some(self.embedder(config)), ExtractRules::default(), NOT_FOUND);
        let offline: Arc<dyn LanguageModel> = Arc::new(offline);
        let (models, prices) = self.models(config, &offline)?;
        Ok(Answering {
            passages,
            models: Arc::new(models),
            prefixes: self.prefixes(config),
            prices: Arc::new(prices),
            answers: Arc::new(PgAnswerStore::new(self.pool.clone())),
            ledger: Arc::new(PgUsageLedger::new(self.pool.clone())),
            clock: self.clock.clone(),
            room: Arc::new(Semaphore::new(section.max_concurrent)),
            rules: AnswerRules {
                timeout: Duration::from_secs(section.timeout_seconds),
                max_output_tokens: section.max_output_tokens,
                passages: section.passages,
                rerank: section.rerank,
                default_budget_nanos: nanos(section.monthly_budget_dollars),
                key_lifetime: time::Duration::hours(i64::from(config.idempotency.ttl_hours)),
            },
        })
    }

    /// The same answering with one provider in place of the chain, whether the chain names it or not: its bounds in time, its
    /// retries, its breaker and its price are those that answers have.
    pub fn answering_by(&self, config: &Config, answering: &Answering, provider: &str) -> anyhow::Result<Answering> {
        let mut own = config.clone();
        own.models.chain = vec![provider.to_owned()];
        let offline: Arc<dyn LanguageModel> = Arc::new(ExtractiveModel::new(None, ExtractRules::default(), NOT_FOUND));
        let (models, prices) = self.models(&own, &offline)?;
        Ok(Answering { models: Arc::new(models), prices: Arc::new(prices), ..answering.clone() })
    }
}

/// Dollars in nano-dollars. The configuration bounds them to a million.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "0 to 10^15")]
fn nanos(dollars: f64) -> u64 {
    (dollars * NANOS_PER_DOLLAR as f64).round() as u64
}
