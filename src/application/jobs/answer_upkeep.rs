//! Upkeep of answers and of what models cost: calls that nobody settled, answers that are old.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::principal::{Role, Roles};
use serde_json::{Value, json};
use time::Duration;

use super::handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use super::maintenance::{batch_after_batch, no_payload};
use crate::application::ports::{AnswerStore, UsageLedger};
use crate::telemetry;

/// Rows of one statement.
const BATCH: u32 = 1_000;
/// Who may run it by hand.
const OPERATORS: Roles = Roles::of(&[Role::Operator]);

/// Settles model calls whose process died: their reservation would bind the budget for ever.
pub struct SettleLostCalls(pub Arc<dyn UsageLedger>);

#[async_trait]
impl JobHandler for SettleLostCalls {
    fn spec(&self) -> KindSpec {
        let spec =
            KindSpec::new("settle_lost_calls", "Charges model calls that nobody settled in time, and frees the rest.");
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let settled = batch_after_batch(context, BATCH, |size| self.0.settle_lost(size)).await?;
        telemetry::answers::calls_lost(settled);
        Ok(Outcome::DoneWith(json!({"settled": settled})))
    }
}

/// Removes answers that are old, with what readers thought of them.
pub struct PurgeAnswers {
    /// Where they are.
    pub answers: Arc<dyn AnswerStore>,
    /// How old.
    pub age: Duration,
}

#[async_trait]
impl JobHandler for PurgeAnswers {
    fn spec(&self) -> KindSpec {
        let spec = KindSpec::new("purge_answers", "Removes answers that are older than `answers.keep_days`.");
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let removed = batch_after_batch(context, BATCH, |size| self.answers.purge(self.age, size)).await?;
        Ok(Outcome::DoneWith(json!({"removed": removed})))
    }
}
