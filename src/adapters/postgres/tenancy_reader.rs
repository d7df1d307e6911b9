//! Reading tenants, principals and keys: one statement each, under the tenant's row-level security.

use docket_domain::audit::ChainHead;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::hash32;
use super::error::store_error;
use super::tenancy_row::{KeyRow, PrincipalRow, TenantRow};
use crate::application::ports::StoreError;

/// A tenant with the head of its chain.
pub async fn tenant(pool: &PgPool, seen_by: TenantId, id: TenantId) -> Result<Option<(Tenant, ChainHead)>, StoreError> {
    let row = sqlx::query!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, name, display_name, suspended, created_at, audit_seq, audit_head
         FROM docket.tenants WHERE (SELECT ready FROM context) AND id = $2",
        seen_by.to_string(),
        id.0
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    let Some(row) = row else { return Ok(None) };
    let head = ChainHead { seq: u64::try_from(row.audit_seq).unwrap_or(0), hash: hash32(row.audit_head)? };
    let tenant = Tenant {
        id: TenantId(row.id),
        name: row.name,
        display_name: row.display_name,
        suspended: row.suspended,
        created_at: row.created_at,
    };
    Ok(Some((tenant, head)))
}

/// The tenant of this name, seen by the platform.
pub async fn tenant_named(pool: &PgPool, name: &str) -> Result<Option<Tenant>, StoreError> {
    let row = sqlx::query_as!(
        TenantRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, name, display_name, suspended, created_at
         FROM docket.tenants WHERE (SELECT ready FROM context) AND name = $2",
        TenantId::PLATFORM.to_string(),
        name
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    Ok(row.map(Tenant::from))
}

/// A page of tenants, seen by the platform, without the platform itself.
pub async fn tenants(pool: &PgPool, after: Option<Uuid>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
    let rows = sqlx::query_as!(
        TenantRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, name, display_name, suspended, created_at
         FROM docket.tenants WHERE (SELECT ready FROM context) AND id > $2 ORDER BY id LIMIT $3",
        TenantId::PLATFORM.to_string(),
        after.unwrap_or(TenantId::PLATFORM.0),
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    Ok(rows.into_iter().map(Tenant::from).collect())
}

/// One principal.
pub async fn principal(pool: &PgPool, tenant: TenantId, id: PrincipalId) -> Result<Option<Principal>, StoreError> {
    let row = sqlx::query_as!(
        PrincipalRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, kind, display_name, external_id, roles, disabled, created_at
         FROM docket.principals WHERE (SELECT ready FROM context) AND id = $2",
        tenant.to_string(),
        id.0
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    row.map(Principal::try_from).transpose()
}

/// When the token was issued whose roles a principal has.
pub async fn roles_issued_at(
    pool: &PgPool,
    tenant: TenantId,
    id: PrincipalId,
) -> Result<Option<OffsetDateTime>, StoreError> {
    let found = sqlx::query_scalar!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT roles_issued_at FROM docket.principals WHERE (SELECT ready FROM context) AND id = $2",
        tenant.to_string(),
        id.0
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    Ok(found.flatten())
}

/// A page of principals.
pub async fn principals(
    pool: &PgPool,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Principal>, StoreError> {
    let rows = sqlx::query_as!(
        PrincipalRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, kind, display_name, external_id, roles, disabled, created_at
         FROM docket.principals WHERE (SELECT ready FROM context) AND id > $2 ORDER BY id LIMIT $3",
        tenant.to_string(),
        after.unwrap_or(Uuid::nil()),
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    rows.into_iter().map(Principal::try_from).collect()
}

/// One key.
pub async fn key(pool: &PgPool, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
    let row = sqlx::query_as!(
        KeyRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, principal_id, prefix, label, scopes, created_at, expires_at, revoked_at, last_used_at, rotated_from
         FROM docket.api_keys WHERE (SELECT ready FROM context) AND id = $2",
        tenant.to_string(),
        id.0
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    row.map(ApiKey::try_from).transpose()
}

/// A page of keys.
pub async fn keys(
    pool: &PgPool,
    tenant: TenantId,
    principal: Option<PrincipalId>,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows = sqlx::query_as!(
        KeyRow,
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, principal_id, prefix, label, scopes, created_at, expires_at, revoked_at, last_used_at, rotated_from
         FROM docket.api_keys
         WHERE (SELECT ready FROM context) AND id > $2 AND ($3::uuid IS NULL OR principal_id = $3)
         ORDER BY id LIMIT $4",
        tenant.to_string(),
        after.unwrap_or(Uuid::nil()),
        principal.map(|id| id.0),
        i64::from(limit)
    )
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    rows.into_iter().map(ApiKey::try_from).collect()
}
