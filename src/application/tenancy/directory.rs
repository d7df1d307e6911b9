//! Read the directory: tenants for operators, principals and keys for administrators, oneself for everybody.

use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use uuid::Uuid;

use super::unit_of_work::{require_admin, require_operator};
use crate::application::error::UseCaseError;
use crate::application::ports::TenancyStore;
use crate::application::request::Caller;

/// Where a page begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct PageRequest {
    /// After the row with this id.
    pub after: Option<Uuid>,
    /// Rows at most.
    pub limit: u32,
}

/// All tenants, a page at a time.
pub async fn list_tenants(
    store: &dyn TenancyStore,
    caller: &Caller,
    page: PageRequest,
) -> Result<Vec<Tenant>, UseCaseError> {
    require_operator(caller)?;
    Ok(store.tenants(page.after, page.limit).await?)
}

/// One tenant. The platform itself is none.
pub async fn read_tenant(store: &dyn TenancyStore, caller: &Caller, id: TenantId) -> Result<Tenant, UseCaseError> {
    require_operator(caller)?;
    let found = store.tenant(caller.actor.tenant_id, id).await?.filter(|(tenant, _)| tenant.id != TenantId::PLATFORM);
    found.map(|(tenant, _)| tenant).ok_or(UseCaseError::NotFound("tenant"))
}

/// The tenant's principals, a page at a time.
pub async fn list_principals(
    store: &dyn TenancyStore,
    caller: &Caller,
    page: PageRequest,
) -> Result<Vec<Principal>, UseCaseError> {
    require_admin(caller)?;
    Ok(store.principals(caller.actor.tenant_id, page.after, page.limit).await?)
}

/// One principal.
pub async fn read_principal(
    store: &dyn TenancyStore,
    caller: &Caller,
    id: PrincipalId,
) -> Result<Principal, UseCaseError> {
    require_admin(caller)?;
    store.principal(caller.actor.tenant_id, id).await?.ok_or(UseCaseError::NotFound("principal"))
}

/// The tenant's keys, or those of one principal, a page at a time.
pub async fn list_keys(
    store: &dyn TenancyStore,
    caller: &Caller,
    principal: Option<PrincipalId>,
    page: PageRequest,
) -> Result<Vec<ApiKey>, UseCaseError> {
    require_admin(caller)?;
    Ok(store.keys(caller.actor.tenant_id, principal, page.after, page.limit).await?)
}

/// One key.
pub async fn read_key(store: &dyn TenancyStore, caller: &Caller, id: ApiKeyId) -> Result<ApiKey, UseCaseError> {
    require_admin(caller)?;
    store.key(caller.actor.tenant_id, id).await?.ok_or(UseCaseError::NotFound("API key"))
}

/// The caller's own tenant and principal.
pub async fn who_am_i(store: &dyn TenancyStore, caller: &Caller) -> Result<(Tenant, Principal), UseCaseError> {
    let actor = &caller.actor;
    let tenant = store.tenant(actor.tenant_id, actor.tenant_id).await?;
    let principal = store.principal(actor.tenant_id, actor.principal_id).await?;
    let (Some((tenant, _)), Some(principal)) = (tenant, principal) else {
        return Err(UseCaseError::Unauthenticated("the principal of this credential is gone"));
    };
    Ok((tenant, principal))
}
