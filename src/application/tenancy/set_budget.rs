//! Set what a tenant may spend on models in a month; and read it.

use async_trait::async_trait;
use docket_domain::budget::TenantBudget;
use docket_domain::principal::{Role, Roles, Scope};
use docket_domain::tenancy::Tenant;
use time::OffsetDateTime;

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::UsageLedger;
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, IfMatch, Written};

/// What the record says was done, or attempted.
const ACTION: &str = "budget.set";
/// Who may see the budget: those who may see what was spent.
const SEES_BUDGET: Roles = Roles::of(&[Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);

/// The budget of the caller's tenant.
pub async fn read_budget(ledger: &dyn UsageLedger, caller: &Caller) -> Result<TenantBudget, UseCaseError> {
    caller.require_scope(Scope::KnowledgeRead)?;
    if !caller.actor.roles.intersects(SEES_BUDGET) {
        return Err(UseCaseError::Forbidden("budgets are read by supervisors, auditors and administrators".to_owned()));
    }
    Ok(ledger.budget(caller.actor.tenant_id).await?)
}

/// Sets the budget of the caller's tenant, in nano-dollars a month. It holds from the next reservation on: calls under way
/// end, and a budget below what was spent refuses every further call of the month.
pub async fn set_budget(
    writing: &TenancyWriting,
    ledger: &dyn UsageLedger,
    caller: &Caller,
    (claim, if_match): (Option<&Claim>, IfMatch),
    monthly_nanos: Result<u64, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ACTION).await?;
    let target = Target::Existing(caller.actor.tenant_id);
    let act = Act { caller, target, claim, presenter, attempted: ACTION };
    writing.carry_out(act, &SetBudget { ledger, if_match, monthly_nanos }).await
}

struct SetBudget<'a> {
    ledger: &'a dyn UsageLedger,
    if_match: IfMatch,
    monthly_nanos: Result<u64, Vec<Invalid>>,
}

#[async_trait]
impl Decide for SetBudget<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant_id = tenant.ok_or(UseCaseError::NotFound("tenant"))?.id;
        let before = self.ledger.budget(tenant_id).await?;
        self.if_match.check(before.version)?;
        let monthly_nanos = Some(self.monthly_nanos.clone().map_err(UseCaseError::Invalid)?);
        let after = TenantBudget { tenant_id, version: before.version + 1, monthly_nanos, updated_at: Some(now) };
        Ok(Decision {
            effects: vec![Effect::SetBudget(after.clone())],
            action: ACTION,
            subject: Subject::Budget(after),
            created: false,
            before: before.to_record(),
            secret: None,
            forget: Forget::Nothing,
        })
    }
}
