//! Suspend a tenant, or resume it: while it is suspended, none of its credentials is accepted.

use async_trait::async_trait;
use docket_domain::ids::TenantId;
use docket_domain::tenancy::Tenant;
use time::OffsetDateTime;

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::StoreError;
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "tenant.suspend";

/// Sets whether the tenant is suspended. The platform itself cannot be.
pub async fn suspend_tenant(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    id: TenantId,
    suspended: Result<bool, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_operator(caller, ATTEMPTED).await?;
    if id == TenantId::PLATFORM {
        return Err(UseCaseError::NotFound("tenant"));
    }
    let act = Act { caller, target: Target::Existing(id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &SuspendTenant { suspended }).await
}

struct SuspendTenant {
    suspended: Result<bool, Vec<Invalid>>,
}

#[async_trait]
impl Decide for SuspendTenant {
    async fn decide(&self, tenant: Option<&Tenant>, _: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let before = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let suspended = self.suspended.clone().map_err(UseCaseError::Invalid)?;
        Ok(Decision {
            effects: vec![Effect::SetSuspended(suspended)],
            action: if suspended { "tenant.suspend" } else { "tenant.resume" },
            subject: Subject::Tenant(Tenant { suspended, ..before.clone() }, None),
            created: false,
            before: serde_json::to_value(before).map_err(StoreError::internal)?,
            secret: None,
            forget: Forget::Tenant,
        })
    }
}
