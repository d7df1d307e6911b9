//! What a tenant's model calls cost in a month.

use docket_domain::principal::{Role, Roles, Scope};
use time::Date;

use super::answering::Answering;
use crate::application::error::UseCaseError;
use crate::application::ports::usage_ledger::{ModelUsage, Standing};
use crate::application::request::Caller;

/// Who may see what models cost.
const SEES_COST: Roles = Roles::of(&[Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);

/// The month's standing and its calls by model; `month` is its first day.
pub async fn read_usage(
    answering: &Answering,
    caller: &Caller,
    month: Date,
) -> Result<(Standing, Vec<ModelUsage>), UseCaseError> {
    caller.require_scope(Scope::KnowledgeRead)?;
    if !caller.actor.roles.intersects(SEES_COST) {
        return Err(UseCaseError::Forbidden("costs are read by supervisors, auditors and administrators".to_owned()));
    }
    let tenant = caller.actor.tenant_id;
    let standing = answering.ledger.standing(tenant, month, answering.rules.default_budget_nanos).await?;
    Ok((standing, answering.ledger.by_model(tenant, month).await?))
}
