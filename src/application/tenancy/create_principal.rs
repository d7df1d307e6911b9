//! Create a principal: a person or a program inside the caller's tenant.

use async_trait::async_trait;
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{PrincipalKind, Roles};
use docket_domain::tenancy::{Principal, Tenant};
use serde_json::Value;
use time::OffsetDateTime;

use super::unit_of_work::{
    Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting, require_claim,
};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "principal.create";

/// Who is to be created.
#[derive(Debug, Clone)]
pub struct NewPrincipal {
    /// The name that people read.
    pub display_name: String,
    /// Person or program.
    pub kind: PrincipalKind,
    /// At least one role, all of them grantable.
    pub roles: Roles,
}

/// Creates a principal in the caller's tenant. Only its administrators may.
pub async fn create_principal(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    new: Result<NewPrincipal, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ATTEMPTED).await?;
    let claim = require_claim(caller, claim)?;
    let act = Act { caller, target: Target::Existing(caller.actor.tenant_id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &CreatePrincipal { writing, new }).await
}

struct CreatePrincipal<'a> {
    writing: &'a TenancyWriting,
    new: Result<NewPrincipal, Vec<Invalid>>,
}

#[async_trait]
impl Decide for CreatePrincipal<'_> {
    async fn decide(&self, _: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let NewPrincipal { display_name, kind, roles } = self.new.clone().map_err(UseCaseError::Invalid)?;
        super::update_principal::check_roles(roles)?;
        let id = PrincipalId(self.writing.clock.new_id());
        let principal =
            Principal { id, kind, display_name, external_id: None, roles, disabled: false, created_at: now };
        Ok(Decision {
            effects: vec![Effect::CreatePrincipal(principal.clone())],
            action: "principal.create",
            subject: Subject::Principal(principal),
            created: true,
            before: Value::Null,
            secret: None,
            forget: Forget::Nothing,
        })
    }
}
