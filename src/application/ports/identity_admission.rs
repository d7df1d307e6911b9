//! The port through which a verified foreign identity becomes a principal of this service.

use async_trait::async_trait;
use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Roles};

use time::OffsetDateTime;

use super::token_verifier::TokenError;

/// What a verified token says about its bearer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForeignIdentity {
    /// The tenant's name or id, as the token has it.
    pub tenant: String,
    /// Issuer and subject, joined by a space: unique among all identities.
    pub external_id: String,
    /// The principal's id, made from issuer and subject.
    pub principal_id: PrincipalId,
    /// The name that people read.
    pub display_name: String,
    /// Roles that the token grants; at least one, all of them grantable.
    pub roles: Roles,
    /// When the token was issued, if it says so.
    pub issued_at: Option<OffsetDateTime>,
}

/// A principal that may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Itself.
    pub principal_id: PrincipalId,
    /// Person or program.
    pub kind: PrincipalKind,
}

/// Admits identities whose tokens have been verified already.
///
/// Contract: the tenant must exist and not be suspended, and the principal must not be disabled, or the identity is
/// rejected. A new identity becomes a principal, and changed roles are noted, both on the tenant's audit chain;
/// a token older than the one whose roles were noted last changes nothing.
#[async_trait]
pub trait IdentityAdmission: Send + Sync + 'static {
    /// The principal behind the identity.
    async fn admit(&self, identity: &ForeignIdentity) -> Result<Admitted, TokenError>;
}
