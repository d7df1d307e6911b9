//! Admit an identity that an OIDC provider vouches for: find its principal, or create it on first sight.

use async_trait::async_trait;
use docket_domain::ids::TenantId;
use docket_domain::principal::{Actor, PrincipalKind};
use docket_domain::tenancy::{Principal, Tenant, scopes_for};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::error::UseCaseError;
use crate::application::ports::StoreError;
use crate::application::ports::identity_admission::{Admitted, ForeignIdentity, IdentityAdmission};
use crate::application::ports::tenancy_store::{Effect, TenancyStore};
use crate::application::ports::token_verifier::TokenError;
use crate::application::request::{Caller, Rendered};
use crate::telemetry;

/// The one answer to a tenant that does not exist and one that is suspended.
const NO_TENANT: &str = "the token names no tenant of this service";
/// The answer to a principal that was disabled here.
const DISABLED: &str = "the token's principal is disabled in this service";

/// Why nothing is written for a token; it comes in with its own roles all the same.
const OVERTAKEN: &str = "a newer token has set the principal's roles";

/// [`IdentityAdmission`] through the tenant's administration: creation and changed roles stand on its audit chain.
#[derive(Clone)]
pub struct Admission {
    writing: TenancyWriting,
}

impl Admission {
    /// Admits into the tenants of `writing`.
    pub fn new(writing: TenancyWriting) -> Self {
        Self { writing }
    }

    fn store(&self) -> &dyn TenancyStore {
        self.writing.store.as_ref()
    }

    async fn tenant(&self, named: &str) -> Result<Tenant, TokenError> {
        let found = match Uuid::parse_str(named) {
            Ok(id) => self.store().tenant(TenantId(id), TenantId(id)).await?.map(|(tenant, _)| tenant),
            Err(_) => self.store().tenant_named(named).await?,
        };
        let usable = found.filter(|tenant| !tenant.suspended && tenant.id != TenantId::PLATFORM);
        usable.ok_or(TokenError::Rejected(NO_TENANT))
    }

    /// Whether a newer token than this one has set the principal's roles.
    async fn is_overtaken(&self, tenant: TenantId, identity: &ForeignIdentity) -> Result<bool, StoreError> {
        let Some(issued_at) = identity.issued_at else { return Ok(false) };
        let newest = self.store().roles_issued_at(tenant, identity.principal_id).await?;
        Ok(newest.is_some_and(|newest| issued_at < newest))
    }

    /// Writes the principal as the token has it; the one who acts is the principal itself.
    async fn note(&self, tenant: TenantId, identity: &ForeignIdentity) -> Result<(), TokenError> {
        let actor = Actor {
            tenant_id: tenant,
            principal_id: identity.principal_id,
            kind: PrincipalKind::User,
            roles: identity.roles,
            scopes: scopes_for(identity.roles),
            on_behalf_of: None,
        };
        // The request that brought the token, so that the record leads to it.
        let context = telemetry::current().unwrap_or_default();
        let caller = Caller {
            actor,
            request_id: context.request_id.clone(),
            trace_id: context.trace_id.clone(),
            traceparent: context.traceparent.clone(),
        };
        let (target, attempted) = (Target::Existing(tenant), "principal.admit");
        let act = Act { caller: &caller, target, claim: None, presenter: &Silent, attempted };
        match self.writing.carry_out(act, &Note { admission: self, identity }).await {
            Ok(_) | Err(UseCaseError::Unauthenticated(OVERTAKEN)) => Ok(()),
            Err(UseCaseError::Store(error)) => Err(error.into()),
            Err(UseCaseError::Unauthenticated(why)) => Err(TokenError::Rejected(why)),
            Err(other) => Err(StoreError::Unavailable(other.into()).into()),
        }
    }
}

#[async_trait]
impl IdentityAdmission for Admission {
    async fn admit(&self, identity: &ForeignIdentity) -> Result<Admitted, TokenError> {
        if let Some(admitted) = self.writing.memory.identity(identity) {
            return Ok(admitted);
        }
        let start = self.writing.memory.begin();
        let tenant = self.tenant(&identity.tenant).await?;
        let known = self.store().principal(tenant.id, identity.principal_id).await?;
        if known.as_ref().is_some_and(|principal| principal.disabled) {
            return Err(TokenError::Rejected(DISABLED));
        }
        let differs = known.is_none_or(|principal| principal.roles != identity.roles);
        if differs && !self.is_overtaken(tenant.id, identity).await? {
            self.note(tenant.id, identity).await?;
        }
        let admitted =
            Admitted { tenant_id: tenant.id, principal_id: identity.principal_id, kind: PrincipalKind::User };
        self.writing.memory.remember_identity(start, identity, admitted);
        Ok(admitted)
    }
}

struct Note<'a> {
    admission: &'a Admission,
    identity: &'a ForeignIdentity,
}

#[async_trait]
impl Decide for Note<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::Unauthenticated(NO_TENANT))?;
        let identity = self.identity;
        let before = self.admission.store().principal(tenant.id, identity.principal_id).await?;
        if before.as_ref().is_some_and(|principal| principal.disabled) {
            return Err(UseCaseError::Unauthenticated(DISABLED));
        }
        // Asked again: another token may have come in between.
        if self.admission.is_overtaken(tenant.id, identity).await? {
            return Err(UseCaseError::Unauthenticated(OVERTAKEN));
        }
        let after = match &before {
            Some(known) => Principal { roles: identity.roles, ..known.clone() },
            None => Principal {
                id: identity.principal_id,
                kind: PrincipalKind::User,
                display_name: identity.display_name.clone(),
                external_id: Some(identity.external_id.clone()),
                roles: identity.roles,
                disabled: false,
                created_at: now,
            },
        };
        let known = before.is_some();
        let effect =
            if known { Effect::UpdatePrincipal(after.clone()) } else { Effect::CreatePrincipal(after.clone()) };
        let issued = identity.issued_at.map(|at| Effect::NoteRolesIssued(identity.principal_id, at));
        Ok(Decision {
            effects: std::iter::once(effect).chain(issued).collect(),
            action: if known { "principal.roles_from_token" } else { "principal.first_seen" },
            before: before.map_or(Ok(Value::Null), serde_json::to_value).map_err(StoreError::internal)?,
            subject: Subject::Principal(after),
            created: !known,
            secret: None,
            // Keys of a principal whose roles changed must follow.
            forget: if known { Forget::Tenant } else { Forget::Nothing },
        })
    }
}

/// Nobody reads the answer of an admission.
struct Silent;

impl TenancyPresenter for Silent {
    fn done(&self, _: &Subject, _: bool, _: Option<&str>) -> Rendered {
        Rendered { status: 200, etag: None, location: None, body: String::new() }
    }
}
