//! Create an API key for a principal of the caller's tenant; its secret is shown once and kept nowhere.

use async_trait::async_trait;
use docket_domain::ids::{ApiKeyId, PrincipalId};
use docket_domain::principal::{Role, Scope};
use docket_domain::tenancy::{ApiKey, Principal, Tenant, may_grant, scopes_for};
use serde_json::Value;
use time::OffsetDateTime;

use super::unit_of_work::{
    Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting, require_claim,
};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "api_key.create";

/// Which key is to be made.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// For whom it speaks.
    pub principal_id: PrincipalId,
    /// What it is used for.
    pub label: String,
    /// What it may be used for; none means everything that suits the principal's roles.
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused.
    pub expires_at: Option<OffsetDateTime>,
}

/// Creates a key. Only the tenant's administrators may.
pub async fn create_key(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    new: Result<NewApiKey, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ATTEMPTED).await?;
    let claim = require_claim(caller, claim)?;
    let act = Act { caller, target: Target::Existing(caller.actor.tenant_id), claim, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &CreateKey { writing, caller, new }).await
}

struct CreateKey<'a> {
    writing: &'a TenancyWriting,
    caller: &'a Caller,
    new: Result<NewApiKey, Vec<Invalid>>,
}

#[async_trait]
impl Decide for CreateKey<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let new = self.new.clone().map_err(UseCaseError::Invalid)?;
        let principal = self.writing.store.principal(tenant.id, new.principal_id).await?;
        let principal = principal.ok_or(UseCaseError::NotFound("principal"))?;
        if !may_grant(principal.roles) && !self.caller.actor.roles.has(Role::System) {
            return Err(UseCaseError::Forbidden("no key can be made for a principal with this role".to_owned()));
        }
        if principal.disabled {
            return Err(UseCaseError::Conflict("the principal is disabled; enable it first".to_owned()));
        }
        let scopes = suitable_scopes(&principal, new.scopes)?;
        if new.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(UseCaseError::Invalid(vec![Invalid::new("/expires_at", "must lie in the future")]));
        }
        let fresh = self.writing.new_key();
        let key = ApiKey {
            id: ApiKeyId(self.writing.clock.new_id()),
            principal_id: principal.id,
            prefix: fresh.prefix,
            label: new.label,
            scopes,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
            rotated_from: None,
        };
        Ok(Decision {
            effects: vec![Effect::CreateKey { key: key.clone(), secret_hash: fresh.secret_hash }],
            action: "api_key.create",
            subject: Subject::Key(key),
            created: true,
            before: Value::Null,
            secret: Some(fresh.text),
            forget: Forget::Nothing,
        })
    }
}

/// The scopes asked for, once each and in order, if all of them suit the principal's roles.
fn suitable_scopes(principal: &Principal, wanted: Option<Vec<Scope>>) -> Result<Vec<Scope>, UseCaseError> {
    let suitable = scopes_for(principal.roles);
    let Some(wanted) = wanted else { return Ok(suitable) };
    let chosen: Vec<Scope> = suitable.iter().copied().filter(|scope| wanted.contains(scope)).collect();
    if !wanted.is_empty() && wanted.iter().all(|scope| suitable.contains(scope)) {
        return Ok(chosen);
    }
    let names: Vec<_> = suitable.iter().map(|scope| scope.as_str()).collect();
    let detail = format!("must be at least one of what suits the principal's roles: {}", names.join(", "));
    Err(UseCaseError::Invalid(vec![Invalid::new("/scopes", detail)]))
}
