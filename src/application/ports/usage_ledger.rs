//! The port to the ledger of model calls: reserve before, settle after, never above the budget.

use async_trait::async_trait;
use docket_domain::budget::{TenantBudget, Usage};
use docket_domain::ids::{PrincipalId, TenantId};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

use super::StoreError;

docket_domain::named_enum! {
    /// What a model was called for.
    CallPurpose, "purpose" {
        /// To answer a question from documents.
        Answer = "answer",
        /// As a gateway.
        Chat = "chat",
        /// To grade an answer.
        Grade = "grade",
    }
}

docket_domain::named_enum! {
    /// How a call ended.
    CallOutcome, "outcome" {
        /// The model said all it had to say.
        Complete = "complete",
        /// The limit of output tokens cut it.
        Length = "length",
        /// The provider filtered the rest.
        Filtered = "filtered",
        /// The client went away.
        Cancelled = "cancelled",
        /// No provider answered, or one failed on the way.
        Failed = "failed",
        /// Nobody settled it in time.
        Lost = "lost",
    }
}

/// What a call may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct Reservation {
    /// The call.
    pub id: Uuid,
    /// Who asks.
    pub principal_id: PrincipalId,
    /// The answer it is for.
    pub answer_id: Option<Uuid>,
    /// What for.
    pub purpose: CallPurpose,
    /// Nano-dollars.
    pub nanos: u64,
    /// The tenant's monthly limit unless it has one of its own, in nano-dollars.
    pub default_limit: u64,
    /// When.
    pub now: OffsetDateTime,
    /// When the call counts as lost, by the same clock as `now`. The ledger takes from it how long the call may last, and keeps
    /// the time itself: a node whose clock is slow must not lose its calls at once.
    pub expires_at: OffsetDateTime,
}

/// Whether a reservation was granted, and where the tenant stands in this month, in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether it was granted.
    pub granted: bool,
    /// The limit.
    pub limit: u64,
    /// What was spent.
    pub spent: u64,
    /// What is reserved for calls under way.
    pub reserved: u64,
}

/// How a call went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The call.
    pub id: Uuid,
    /// How it ended.
    pub outcome: CallOutcome,
    /// Who answered; none when nobody did.
    pub provider: Option<String>,
    /// With which model.
    pub model: Option<String>,
    /// Nano-dollars.
    pub cost: u64,
    /// What was used.
    pub usage: Usage,
    /// Whether docket counted because the provider did not say.
    pub estimated: bool,
    /// Requests that were sent for it.
    pub attempts: u16,
    /// From the reservation to the first text.
    pub first_token_ms: Option<u32>,
    /// From the reservation to the end.
    pub total_ms: u32,
}

/// What one model was used for in a month.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUsage {
    /// The provider; empty when none answered.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Calls that ended.
    pub calls: u64,
    /// Tokens.
    pub usage: Usage,
    /// Nano-dollars.
    pub cost: u64,
}

/// Keeps account of model calls.
///
/// Contract: spent and reserved together never pass the limit by a reservation, however many reserve at once; a call is
/// settled at most once, and what it cost is charged as it is. What is spent in a month is the sum of its settled calls.
#[async_trait]
pub trait UsageLedger: Send + Sync + 'static {
    /// Reserves, or says why not.
    async fn reserve(&self, tenant: TenantId, reservation: &Reservation) -> Result<Standing, StoreError>;

    /// Settles a call; false when it was settled before.
    async fn settle(&self, tenant: TenantId, settlement: &Settlement) -> Result<bool, StoreError>;

    /// Settles calls that expired, up to `limit`, at the whole of their reservation; how many there were.
    async fn settle_lost(&self, limit: u32) -> Result<u64, StoreError>;

    /// Where the tenant stands in the month that begins on `month`.
    async fn standing(&self, tenant: TenantId, month: Date, default_limit: u64) -> Result<Standing, StoreError>;

    /// The month by model, dearest first.
    async fn by_model(&self, tenant: TenantId, month: Date) -> Result<Vec<ModelUsage>, StoreError>;

    /// The tenant's own budget. It is set as an administrative act ([`super::tenancy_store::Effect`]).
    async fn budget(&self, tenant: TenantId) -> Result<TenantBudget, StoreError>;
}
