//! The port for looking up credentials before the tenant is known.

use async_trait::async_trait;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Roles, Scope};
use time::OffsetDateTime;

use super::StoreError;

/// Everything that authentication needs to know of an API key.
#[derive(Debug, Clone)]
pub struct KeyRecord {
    /// The key.
    pub key_id: ApiKeyId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// The principal it speaks for.
    pub principal_id: PrincipalId,
    /// Person or program.
    pub kind: PrincipalKind,
    /// The principal's roles.
    pub roles: Roles,
    /// What the key may be used for.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the secret.
    pub secret_hash: [u8; 32],
    /// From when on it is refused.
    pub expires_at: Option<OffsetDateTime>,
    /// Whether it was revoked, its principal disabled or its tenant suspended.
    pub blocked: bool,
}

/// Looks up API keys.
///
/// Contract: `find` takes the whole prefix and gives at most one record, whatever tenant it belongs to; `touch` notes the
/// last use and may lose updates. To add an implementation: keep the lookup to one round trip, it stands on every
/// request that misses the cache.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key with this prefix.
    async fn find(&self, prefix: &str) -> Result<Option<KeyRecord>, StoreError>;
    /// Notes that a key was used.
    async fn touch(&self, tenant: TenantId, key: ApiKeyId, at: OffsetDateTime) -> Result<(), StoreError>;
}
