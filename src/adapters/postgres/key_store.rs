//! API keys in PostgreSQL: found by prefix, before the tenant is known.

use async_trait::async_trait;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{Roles, Scope};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::case_row::hash32;
use super::error::{store_error, unreadable};
use super::transaction::begin;
use crate::application::ports::StoreError;
use crate::application::ports::key_store::{KeyRecord, KeyStore};

/// [`KeyStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgKeyStore {
    pool: PgPool,
}

impl PgKeyStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl KeyStore for PgKeyStore {
    #[tracing::instrument(name = "SELECT api_keys", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "api_keys"))]
    async fn find(&self, prefix: &str) -> Result<Option<KeyRecord>, StoreError> {
        // Two steps in one transaction: the key by its prefix (the policy `lookup_by_prefix`), then its principal and
        // tenant under the tenant that the key names.
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let key = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.api_key_prefix', $1, true) IS NOT NULL AS ready)
             SELECT tenant_id, id, principal_id, secret_hash, scopes, expires_at, revoked_at,
                    set_config('docket.tenant', tenant_id::text, true) AS tenant
             FROM docket.api_keys WHERE (SELECT ready FROM context) AND prefix = $1",
            prefix
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
        let Some(key) = key else { return Ok(None) };
        let owner = sqlx::query!(
            "SELECT p.kind, p.roles, p.disabled, t.suspended
             FROM docket.principals p JOIN docket.tenants t ON t.id = p.tenant_id
             WHERE p.tenant_id = $1 AND p.id = $2",
            key.tenant_id,
            key.principal_id
        )
        .fetch_optional(&mut *transaction)
        .await
        .map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        let Some(owner) = owner else { return Ok(None) };
        let scopes = key.scopes.iter().map(|name| name.parse::<Scope>()).collect::<Result<_, _>>();
        Ok(Some(KeyRecord {
            key_id: ApiKeyId(key.id),
            tenant_id: TenantId(key.tenant_id),
            principal_id: PrincipalId(key.principal_id),
            kind: owner.kind.parse().map_err(unreadable)?,
            roles: Roles::parse(owner.roles.iter().map(String::as_str)).map_err(unreadable)?,
            scopes: scopes.map_err(unreadable)?,
            secret_hash: hash32(key.secret_hash)?,
            expires_at: key.expires_at,
            blocked: key.revoked_at.is_some() || owner.disabled || owner.suspended,
        }))
    }

    #[tracing::instrument(name = "UPDATE api_keys", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "UPDATE", db.collection.name = "api_keys"))]
    async fn touch(&self, tenant: TenantId, key: ApiKeyId, at: OffsetDateTime) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             UPDATE docket.api_keys SET last_used_at = $3 WHERE (SELECT ready FROM context) AND id = $2",
            tenant.to_string(),
            key.0,
            at
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }
}
