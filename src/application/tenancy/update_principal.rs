//! Change a principal: its name, its roles, whether it is disabled. The last write wins.

use async_trait::async_trait;
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{Role, Roles};
use docket_domain::tenancy::{Principal, Tenant, may_grant};
use time::OffsetDateTime;

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::StoreError;
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "principal.update";

/// What changes; none leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct PrincipalChanges {
    /// The name that people read.
    pub display_name: Option<String>,
    /// All its roles from now on.
    pub roles: Option<Roles>,
    /// Whether its credentials are refused.
    pub disabled: Option<bool>,
}

/// Changes a principal of the caller's tenant. Only its administrators may, and none may lock itself out.
pub async fn update_principal(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    id: PrincipalId,
    changes: Result<PrincipalChanges, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ATTEMPTED).await?;
    let act = Act { caller, target: Target::Existing(caller.actor.tenant_id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &UpdatePrincipal { writing, caller, id, changes }).await
}

/// Fails unless an administrator may grant all of these roles.
pub fn check_roles(roles: Roles) -> Result<(), UseCaseError> {
    if may_grant(roles) {
        return Ok(());
    }
    let detail = "must hold at least one of: reporter, caseworker, supervisor, auditor, admin; and nothing else";
    Err(UseCaseError::Invalid(vec![Invalid::new("/roles", detail)]))
}

struct UpdatePrincipal<'a> {
    writing: &'a TenancyWriting,
    caller: &'a Caller,
    id: PrincipalId,
    changes: Result<PrincipalChanges, Vec<Invalid>>,
}

#[async_trait]
impl Decide for UpdatePrincipal<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, _: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let before = self.writing.store.principal(tenant.id, self.id).await?;
        let before = before.ok_or(UseCaseError::NotFound("principal"))?;
        let changes = self.changes.clone().map_err(UseCaseError::Invalid)?;
        if let Some(roles) = changes.roles {
            check_roles(roles)?;
        }
        let after = Principal {
            display_name: changes.display_name.unwrap_or_else(|| before.display_name.clone()),
            roles: changes.roles.unwrap_or(before.roles),
            disabled: changes.disabled.unwrap_or(before.disabled),
            ..before.clone()
        };
        // So a tenant that has an administrator always keeps one.
        let locks_out = after.disabled || !after.roles.has(Role::Admin);
        if self.id == self.caller.actor.principal_id && locks_out {
            let detail = "you cannot disable yourself or give up the role `admin`: another administrator must do it";
            return Err(UseCaseError::Conflict(detail.to_owned()));
        }
        Ok(Decision {
            effects: vec![Effect::UpdatePrincipal(after.clone())],
            action: match (before.disabled, after.disabled) {
                (false, true) => "principal.disable",
                (true, false) => "principal.enable",
                _ => "principal.update",
            },
            before: serde_json::to_value(&before).map_err(StoreError::internal)?,
            subject: Subject::Principal(after),
            created: false,
            secret: None,
            forget: Forget::Tenant,
        })
    }
}
