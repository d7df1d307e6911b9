//! The account of one model call: opened before it, settled after it, however it ends.

use docket_domain::budget::{Price, Usage};
use docket_domain::ids::TenantId;
use tokio::time::Instant;
use uuid::Uuid;

use super::answer::{AnswerModel, AnswerUsage};
use super::answer_question::millis;
use super::answering::Answering;
use crate::application::error::UseCaseError;
use crate::application::models::{Metered, Tab, UsageMeter};
use crate::application::ports::language_model::{ModelEvent, ModelRequest, StopReason};
use crate::application::ports::usage_ledger::{CallOutcome, CallPurpose, Reservation, Settlement};
use crate::application::request::Caller;
use crate::telemetry;

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
    meter: Option<UsageMeter>,
    tab: Tab,
    first_token_ms: Option<u32>,
}

impl<'a> Account<'a> {
    /// Reserves `nanos` for this purpose, and the answer it is for if there is one, or fails because the budget does not cover it.
    pub async fn open(
        answering: &'a Answering,
        caller: &Caller,
        (purpose, answer_id): (CallPurpose, Option<Uuid>),
        nanos: u64,
    ) -> Result<Self, UseCaseError> {
        let now = answering.clock.now();
        let lifetime = time::Duration::try_from(answering.rules.timeout).unwrap_or(time::Duration::MINUTE);
        let reservation = Reservation {
            id: answering.clock.new_id(),
            principal_id: caller.actor.principal_id,
            answer_id,
            purpose,
            nanos,
            default_limit: answering.rules.default_budget_nanos,
            now,
            expires_at: now + lifetime + time::Duration::MINUTE,
        };
        let tenant = caller.actor.tenant_id;
        let standing = answering.ledger.reserve(tenant, &reservation).await?;
        if !standing.granted {
            telemetry::answers::refused_by_budget();
            return Err(UseCaseError::BudgetExhausted {
                limit_nanos: standing.limit,
                spent_nanos: standing.spent,
                reserved_nanos: standing.reserved,
                needed_nanos: nanos,
            });
        }
        let (began, model, price, meter, first_token_ms) = (Instant::now(), None, Price::FREE, None, None);
        let (id, tab) = (reservation.id, Tab::default());
        Ok(Self { answering, tenant, id, began, model, price, meter, tab, first_token_ms })
    }

    /// Where attempts in vain are to be put: they are settled with the call.
    pub fn tab(&self) -> Tab {
        self.tab.clone()
    }

    /// A model took the request: from here on its input is owed.
    pub fn accepted(&mut self, model: &AnswerModel, request: &ModelRequest) {
        // Every model of the chain had a price when the reservation was made.
        self.price = self.answering.prices.price(&model.name).unwrap_or(Price::FREE);
        self.model = Some(model.clone());
        let asked = self.answering.models.models().into_iter().find(|known| known.model() == model.name);
        self.meter = Some(UsageMeter::new(asked.map_or(0, |known| known.input_tokens_at_most(request))));
    }

    /// The model said something.
    pub fn observe(&mut self, event: &ModelEvent) {
        if matches!(event, ModelEvent::Text(_)) {
            self.first_token_ms.get_or_insert_with(|| millis(self.began));
        }
        if let Some(meter) = &mut self.meter {
            meter.observe(event);
        }
    }

    /// Settles at what was used until now; the answer's usage, the time to the first text and to the end in milliseconds.
    pub async fn settle(self, outcome: CallOutcome) -> (AnswerUsage, u32, u32) {
        let nothing = Metered { usage: Usage::default(), estimated: false };
        let Metered { usage: mut tokens, mut estimated } = self.meter.as_ref().map_or(nothing, UsageMeter::read);
        let mut cost_nanos = self.price.cost(tokens);
        let mut model = self.model;
        for attempt in self.tab.read() {
            // Each at the price of its own model; the ledger names the one that answered, or the last one that began to.
            let price = self.answering.prices.price(&attempt.model).unwrap_or(Price::FREE);
            cost_nanos = cost_nanos.saturating_add(price.cost(attempt.metered.usage));
            tokens = tokens.plus(attempt.metered.usage);
            estimated |= attempt.metered.estimated;
            if self.meter.is_none() {
                let attempts = model.map_or(1, |model: AnswerModel| model.attempts.saturating_add(1));
                model = Some(AnswerModel { provider: attempt.provider, name: attempt.model, attempts });
            }
        }
        let total_ms = millis(self.began);
        let settlement = Settlement {
            id: self.id,
            outcome,
            attempts: model.as_ref().map_or(0, |model| model.attempts),
            provider: model.as_ref().map(|model| model.provider.clone()),
            model: model.map(|model| model.name),
            cost: cost_nanos,
            usage: tokens,
            estimated,
            first_token_ms: self.first_token_ms,
            total_ms,
        };
        if let Err(error) = self.answering.ledger.settle(self.tenant, &settlement).await {
            tracing::error!(%error, call = %self.id, "a model call could not be settled; it will be charged in full when it expires");
        }
        (AnswerUsage { tokens, cost_nanos, estimated }, self.first_token_ms.unwrap_or(total_ms), total_ms)
    }
}
