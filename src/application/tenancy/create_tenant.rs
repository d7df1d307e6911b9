//! Create a tenant, with its first administrator and that one's key if wanted.

use async_trait::async_trait;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Role, Roles};
use docket_domain::tenancy::{ApiKey, Principal, Tenant, scopes_for};
use serde_json::Value;
use time::OffsetDateTime;

use super::unit_of_work::{
    Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting, require_claim,
};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};

/// What the record of a denial says was attempted.
const ATTEMPTED: &str = "tenant.create";

/// What a new tenant is called.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The short name, checked by `is_tenant_name`.
    pub name: String,
    /// The name that people read.
    pub display_name: String,
    /// The display name of the first administrator; none for a tenant without one.
    pub admin: Option<String>,
}

/// Creates a tenant. Only operators may.
pub async fn create_tenant(
    writing: &TenancyWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    new: Result<NewTenant, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_operator(caller, ATTEMPTED).await?;
    let claim = require_claim(caller, claim)?;
    let id = TenantId(writing.clock.new_id());
    let act = Act { caller, target: Target::New(id), claim, presenter, attempted: ATTEMPTED };
    let decide = CreateTenant { writing, id, new, role: Role::Admin };
    writing.carry_out(act, &decide).await
}

/// Creates an operator with a key, and the platform itself if there is none yet. Only the command line may: no
/// credential reaches this.
pub async fn create_operator(
    writing: &TenancyWriting,
    caller: &Caller,
    display_name: String,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    if !caller.actor.roles.has(Role::System) {
        return Err(UseCaseError::Forbidden("operators are created at the platform's command line".to_owned()));
    }
    let id = TenantId::PLATFORM;
    let exists = writing.store.tenant(id, id).await?.is_some();
    let target = if exists { Target::Existing(id) } else { Target::New(id) };
    let new =
        NewTenant { name: "platform".to_owned(), display_name: "The platform".to_owned(), admin: Some(display_name) };
    let act = Act { caller, target, claim: None, presenter, attempted: ATTEMPTED };
    writing.carry_out(act, &CreateTenant { writing, id, new: Ok(new), role: Role::Operator }).await
}

struct CreateTenant<'a> {
    writing: &'a TenancyWriting,
    id: TenantId,
    new: Result<NewTenant, Vec<Invalid>>,
    role: Role,
}

#[async_trait]
impl Decide for CreateTenant<'_> {
    async fn decide(&self, existing: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let new = self.new.clone().map_err(UseCaseError::Invalid)?;
        let tenant = existing.cloned().unwrap_or(Tenant {
            id: self.id,
            name: new.name,
            display_name: new.display_name,
            suspended: false,
            created_at: now,
        });
        let mut effects = Vec::new();
        if existing.is_none() {
            effects.push(Effect::CreateTenant(tenant.clone()));
        }
        let mut secret = None;
        let admin = new.admin.map(|display_name| {
            let roles = Roles::of(&[self.role]);
            let principal = Principal {
                id: PrincipalId(self.writing.clock.new_id()),
                kind: PrincipalKind::User,
                display_name,
                external_id: None,
                roles,
                disabled: false,
                created_at: now,
            };
            let fresh = self.writing.new_key();
            let key = ApiKey {
                id: ApiKeyId(self.writing.clock.new_id()),
                principal_id: principal.id,
                prefix: fresh.prefix,
                label: "first key".to_owned(),
                scopes: scopes_for(roles),
                created_at: now,
                expires_at: None,
                revoked_at: None,
                last_used_at: None,
                rotated_from: None,
            };
            effects.push(Effect::CreatePrincipal(principal.clone()));
            effects.push(Effect::CreateKey { key: key.clone(), secret_hash: fresh.secret_hash });
            secret = Some(fresh.text);
            (principal, key)
        });
        Ok(Decision {
            effects,
            action: if self.role == Role::Operator { "operator.create" } else { "tenant.create" },
            subject: Subject::Tenant(tenant, admin),
            created: true,
            before: Value::Null,
            secret,
            forget: Forget::Nothing,
        })
    }
}
