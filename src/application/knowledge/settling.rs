//! The account of one model call: opened before it, settled after it, however it ends.

use docket_domain::budget::{Price, Usage, estimate_tokens};
use docket_domain::ids::TenantId;
use tokio::time::Instant;
use uuid::Uuid;

use super::answer::{AnswerModel, AnswerUsage};
use super::answer_question::millis;
use super::answering::Answering;
use crate::application::error::UseCaseError;
use crate::application::ports::language_model::{ModelRequest, StopReason};
use crate::application::ports::usage_ledger::{CallOutcome, CallPurpose, Reservation, Settlement};
use crate::application::request::Caller;

impl From<StopReason> for CallOutcome {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::Complete => Self::Complete,
            StopReason::Length => Self::Length,
            StopReason::Filtered => Self::Filtered,
        }
    }
}

/// An open account. Should its owner be dropped (the process stops), the sweep of lost calls settles it.
pub struct Account<'a> {
    answering: &'a Answering,
    tenant: TenantId,
    id: Uuid,
    began: Instant,
    model: Option<AnswerModel>,
    price: Price,
    reported: Option<Usage>,
    /// What docket counts itself, in case the provider reports nothing.
    counted: Usage,
    written_bytes: u64,
    first_token_ms: Option<u32>,
}

impl<'a> Account<'a> {
    /// Reserves `nanos`, or fails because the budget does not cover it.
    pub async fn open(
        answering: &'a Answering,
        caller: &Caller,
        answer: Uuid,
        nanos: u64,
    ) -> Result<Self, UseCaseError> {
        let now = answering.clock.now();
        let lifetime = time::Duration::try_from(answering.rules.timeout).unwrap_or(time::Duration::MINUTE);
        let reservation = Reservation {
            id: answering.clock.new_id(),
            principal_id: caller.actor.principal_id,
            answer_id: Some(answer),
            purpose: CallPurpose::Answer,
            nanos,
            default_limit: answering.rules.default_budget_nanos,
            now,
            expires_at: now + lifetime + time::Duration::MINUTE,
        };
        let tenant = caller.actor.tenant_id;
        let standing = answering.ledger.reserve(tenant, &reservation).await?;
        if !standing.granted {
            metrics::counter!("docket_budget_refusals_total").increment(1);
            return Err(UseCaseError::BudgetExhausted {
                limit_nanos: standing.limit,
                spent_nanos: standing.spent,
                reserved_nanos: standing.reserved,
                needed_nanos: nanos,
            });
        }
        let (model, price, reported) = (None, Price::FREE, None);
        let (counted, written_bytes, first_token_ms) = (Usage::default(), 0, None);
        let id = reservation.id;
        Ok(Self {
            answering,
            tenant,
            id,
            began: Instant::now(),
            model,
            price,
            reported,
            counted,
            written_bytes,
            first_token_ms,
        })
    }

    /// A model took the request: from here on its input is owed.
    pub fn accepted(&mut self, model: &AnswerModel, request: &ModelRequest) {
        // Every model of the chain had a price when the reservation was made.
        self.price = self.answering.prices.price(&model.name).unwrap_or(Price::FREE);
        self.model = Some(model.clone());
        let passages: u64 = request.passages.iter().map(|p| estimate_tokens(&p.title) + estimate_tokens(&p.text)).sum();
        self.counted.input_tokens =
            estimate_tokens(&request.instructions) + estimate_tokens(&request.question) + passages;
    }

    /// The provider said what was used so far.
    pub fn used(&mut self, usage: Usage) {
        self.reported = Some(self.reported.unwrap_or_default().at_least(usage));
    }

    /// More text came.
    pub fn heard(&mut self, text: &str) {
        self.first_token_ms.get_or_insert_with(|| millis(self.began));
        self.written_bytes += text.len() as u64;
    }

    /// Settles: what the provider reported, or what docket counted. A report that breaks off with the stream knows nothing of
    /// the text after it, so the larger count holds then.
    pub async fn settle(mut self, outcome: CallOutcome) -> (AnswerUsage, u32, u32) {
        self.counted.output_tokens = self.written_bytes.div_ceil(4);
        let complete = matches!(outcome, CallOutcome::Complete | CallOutcome::Length | CallOutcome::Filtered);
        let (tokens, estimated) = match (self.reported, &self.model) {
            (_, None) => (Usage::default(), false),
            (Some(reported), _) if complete && reported.total() > 0 => (reported, false),
            (Some(reported), _) if reported.total() > 0 => {
                let output_tokens = reported.output_tokens.max(self.counted.output_tokens);
                (Usage { output_tokens, ..reported }, true)
            }
            _ => (self.counted, true),
        };
        let cost_nanos = self.price.cost(tokens);
        let total_ms = millis(self.began);
        let settlement = Settlement {
            id: self.id,
            outcome,
            provider: self.model.as_ref().map(|model| model.provider.clone()),
            model: self.model.as_ref().map(|model| model.name.clone()),
            cost: cost_nanos,
            usage: tokens,
            estimated,
            attempts: self.model.as_ref().map_or(0, |model| model.attempts),
            first_token_ms: self.first_token_ms,
            total_ms,
        };
        if let Err(error) = self.answering.ledger.settle(self.tenant, &settlement).await {
            tracing::error!(%error, call = %self.id, "a model call could not be settled; it will be charged in full when it expires");
        }
        (AnswerUsage { tokens, cost_nanos, estimated }, self.first_token_ms.unwrap_or(total_ms), total_ms)
    }
}
