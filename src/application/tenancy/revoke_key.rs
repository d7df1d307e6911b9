//! Revoke an API key: it is refused from now on. Revoking it again changes nothing.

use async_trait::async_trait;
use docket_domain::ids::ApiKeyId;
use docket_domain::tenancy::{ApiKey, Tenant};
use time::OffsetDateTime;

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::error::UseCaseError;
use crate::application::ports::StoreError;
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "api_key.revoke";

/// Revokes a key of the caller's tenant. Only its administrators may.
pub async fn revoke_key(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    id: ApiKeyId,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ATTEMPTED).await?;
    let act = Act { caller, target: Target::Existing(caller.actor.tenant_id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &RevokeKey { writing, id }).await
}

struct RevokeKey<'a> {
    writing: &'a TenancyWriting,
    id: ApiKeyId,
}

#[async_trait]
impl Decide for RevokeKey<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let before = self.writing.store.key(tenant.id, self.id).await?.ok_or(UseCaseError::NotFound("API key"))?;
        let after = ApiKey { revoked_at: before.revoked_at.or(Some(now)), ..before.clone() };
        Ok(Decision {
            effects: vec![Effect::EndKey(after.clone())],
            action: "api_key.revoke",
            before: serde_json::to_value(&before).map_err(StoreError::internal)?,
            forget: Forget::Key(after.prefix.clone()),
            subject: Subject::Key(after),
            created: false,
            secret: None,
        })
    }
}
