//! Rows of tenants, principals and API keys, and the way from them to the domain.

use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{Roles, Scope};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::unreadable;
use crate::application::ports::StoreError;

/// A row of `docket.tenants`.
#[derive(Debug)]
pub struct TenantRow {
    /// `id`
    pub id: Uuid,
    /// `name`
    pub name: String,
    /// `display_name`
    pub display_name: String,
    /// `suspended`
    pub suspended: bool,
    /// `created_at`
    pub created_at: OffsetDateTime,
}

impl From<TenantRow> for Tenant {
    fn from(row: TenantRow) -> Self {
        let TenantRow { id, name, display_name, suspended, created_at } = row;
        Self { id: TenantId(id), name, display_name, suspended, created_at }
    }
}

/// A row of `docket.principals`.
#[derive(Debug)]
pub struct PrincipalRow {
    /// `id`
    pub id: Uuid,
    /// `kind`
    pub kind: String,
    /// `display_name`
    pub display_name: String,
    /// `external_id`
    pub external_id: Option<String>,
    /// `roles`
    pub roles: Vec<String>,
    /// `disabled`
    pub disabled: bool,
    /// `created_at`
    pub created_at: OffsetDateTime,
}

impl TryFrom<PrincipalRow> for Principal {
    type Error = StoreError;

    fn try_from(row: PrincipalRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: PrincipalId(row.id),
            kind: row.kind.parse().map_err(unreadable)?,
            display_name: row.display_name,
            external_id: row.external_id,
            roles: Roles::parse(row.roles.iter().map(String::as_str)).map_err(unreadable)?,
            disabled: row.disabled,
            created_at: row.created_at,
        })
    }
}

/// A row of `docket.api_keys` without the secret's hash.
#[derive(Debug)]
pub struct KeyRow {
    /// `id`
    pub id: Uuid,
    /// `principal_id`
    pub principal_id: Uuid,
    /// `prefix`
    pub prefix: String,
    /// `label`
    pub label: String,
    /// `scopes`
    pub scopes: Vec<String>,
    /// `created_at`
    pub created_at: OffsetDateTime,
    /// `expires_at`
    pub expires_at: Option<OffsetDateTime>,
    /// `revoked_at`
    pub revoked_at: Option<OffsetDateTime>,
    /// `last_used_at`
    pub last_used_at: Option<OffsetDateTime>,
    /// `rotated_from`
    pub rotated_from: Option<Uuid>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let scopes = row.scopes.iter().map(|name| name.parse::<Scope>()).collect::<Result<_, _>>();
        Ok(Self {
            id: ApiKeyId(row.id),
            principal_id: PrincipalId(row.principal_id),
            prefix: row.prefix,
            label: row.label,
            scopes: scopes.map_err(unreadable)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            rotated_from: row.rotated_from.map(ApiKeyId),
        })
    }
}
