//! Rotate an API key: a new one with the same label and scopes; the old one expires after an overlap.

use async_trait::async_trait;
use docket_domain::ids::ApiKeyId;
use docket_domain::tenancy::{ApiKey, Tenant};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::unit_of_work::{
    Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting, require_claim,
};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "api_key.rotate";

/// Rotates a live key of the caller's tenant. `overlap` is how long the old one stays valid, zero to seven days; it never
/// lives longer than it would have.
pub async fn rotate_key(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    id: ApiKeyId,
    overlap: Result<Duration, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ATTEMPTED).await?;
    let claim = require_claim(caller, claim)?;
    let act = Act { caller, target: Target::Existing(caller.actor.tenant_id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &RotateKey { writing, id, overlap }).await
}

struct RotateKey<'a> {
    writing: &'a TenancyWriting,
    id: ApiKeyId,
    overlap: Result<Duration, Vec<Invalid>>,
}

#[async_trait]
impl Decide for RotateKey<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let mut old = self.writing.store.key(tenant.id, self.id).await?.ok_or(UseCaseError::NotFound("API key"))?;
        let overlap = self.overlap.clone().map_err(UseCaseError::Invalid)?;
        if !old.is_live(now) {
            return Err(UseCaseError::Conflict("the key has expired or been revoked; create a new one".to_owned()));
        }
        let fresh = self.writing.new_key();
        let key = ApiKey {
            id: ApiKeyId(self.writing.clock.new_id()),
            prefix: fresh.prefix,
            created_at: now,
            expires_at: old.successor_expiry(now),
            last_used_at: None,
            rotated_from: Some(old.id),
            ..old.clone()
        };
        let end = now + overlap;
        old.expires_at = Some(old.expires_at.map_or(end, |expires_at| expires_at.min(end)));
        let forget = Forget::Key(old.prefix.clone());
        Ok(Decision {
            effects: vec![Effect::CreateKey { key: key.clone(), secret_hash: fresh.secret_hash }, Effect::EndKey(old)],
            action: "api_key.rotate",
            subject: Subject::Key(key),
            created: true,
            before: Value::Null,
            secret: Some(fresh.text),
            forget,
        })
    }
}
