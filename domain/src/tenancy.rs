//! Tenants, principals and API keys: what they are, and which roles and scopes may be granted.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::ids::{ApiKeyId, PrincipalId, TenantId};
use crate::principal::{PrincipalKind, Role, Roles, Scope};

/// Greatest number of characters of a tenant's name.
pub const TENANT_NAME_MAX: usize = 63;
/// Greatest number of characters of a display name or a key's label.
pub const LABEL_MAX: usize = 200;
/// Longest overlap of an old and a new key, in seconds: seven days.
pub const OVERLAP_MAX_SECONDS: u64 = 7 * 86_400;

/// The roles that a tenant's administrator may grant. `operator` is given at the platform's own command line only, and
/// `system` to nobody.
pub const GRANTABLE: Roles =
    Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin]);

/// One regulator, isolated from all others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Identifier.
    pub id: TenantId,
    /// The short name used in tokens and on the command line; never changes.
    pub name: String,
    /// The name that people read.
    pub display_name: String,
    /// While set, no credential of the tenant is accepted.
    pub suspended: bool,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A person or a program inside one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Identifier.
    pub id: PrincipalId,
    /// Person or program.
    pub kind: PrincipalKind,
    /// The name that people read.
    pub display_name: String,
    /// Issuer and subject of an OIDC identity, joined by a space.
    pub external_id: Option<String>,
    /// What it may do.
    pub roles: Roles,
    /// While set, none of its credentials is accepted.
    pub disabled: bool,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// An API key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Identifier.
    pub id: ApiKeyId,
    /// For whom it speaks.
    pub principal_id: PrincipalId,
    /// The part that may be shown and that finds the row.
    pub prefix: String,
    /// What it is used for, in its owner's words.
    pub label: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// From when on it is refused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// When it was revoked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub revoked_at: Option<OffsetDateTime>,
    /// When it was last used, to the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// The key that this one replaces.
    pub rotated_from: Option<ApiKeyId>,
}

impl ApiKey {
    /// Whether it is accepted at `now`, as far as the key itself is concerned.
    pub fn is_live(&self, now: OffsetDateTime) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expires_at| expires_at > now)
    }

    /// When the successor of a key that is rotated at `now` expires: it lives as long as this one was meant to.
    pub fn successor_expiry(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        now.checked_add(self.expires_at? - self.created_at)
    }
}

/// Every scope that suits these roles: what a credential may carry at most.
pub fn scopes_for(roles: Roles) -> Vec<Scope> {
    const READS: Roles =
        Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);
    const WRITES: Roles = Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::System]);
    const CURATES: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::Admin, Role::System]);
    const READS_AUDIT: Roles = Roles::of(&[Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);
    const ADMINISTERS: Roles = Roles::of(&[Role::Admin, Role::Operator, Role::System]);
    let suits = |scope: &Scope| {
        roles.intersects(match scope {
            Scope::CasesRead | Scope::KnowledgeRead => READS,
            Scope::CasesWrite => WRITES,
            Scope::AuditRead => READS_AUDIT,
            Scope::KnowledgeWrite => CURATES,
            Scope::Admin => ADMINISTERS,
        })
    };
    Scope::ALL.iter().copied().filter(suits).collect()
}

/// Whether every role of the set may be granted by a tenant's administrator, and there is at least one.
pub fn may_grant(roles: Roles) -> bool {
    roles != Roles::NONE && roles.iter().all(|role| GRANTABLE.has(role))
}

/// Whether the text is a tenant's name: 1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen.
pub fn is_tenant_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=TENANT_NAME_MAX).contains(&name.len()) && !name.starts_with('-') && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use time::Duration;
    use uuid::Uuid;

    use super::*;

    fn key(expires_at: Option<OffsetDateTime>, revoked_at: Option<OffsetDateTime>) -> ApiKey {
        ApiKey {
            id: ApiKeyId(Uuid::nil()),
            principal_id: PrincipalId(Uuid::nil()),
            prefix: "p".into(),
            label: "l".into(),
            scopes: vec![],
            created_at: OffsetDateTime::UNIX_EPOCH,
            expires_at,
            revoked_at,
            last_used_at: None,
            rotated_from: None,
        }
    }

    #[test]
    fn nobody_may_grant_operator_or_system_or_nothing() {
        for role in Role::ALL {
            let ungrantable = matches!(role, Role::Operator | Role::System);
            assert_eq!(may_grant(Roles::of(&[*role])), !ungrantable, "{role}");
            assert_eq!(may_grant(Roles::of(&[Role::Admin, *role])), !ungrantable, "{role}");
        }
        assert!(!may_grant(Roles::NONE));
    }

    #[test]
    fn scopes_follow_the_roles() {
        use Scope::{Admin, AuditRead, CasesRead, CasesWrite, KnowledgeRead, KnowledgeWrite};
        let of = |roles: &[Role]| scopes_for(Roles::of(roles));
        assert_eq!(of(&[Role::Reporter]), [CasesRead, CasesWrite, KnowledgeRead]);
        assert_eq!(of(&[Role::Caseworker]), [CasesRead, CasesWrite, KnowledgeRead, KnowledgeWrite]);
        assert_eq!(of(&[Role::Supervisor]), [CasesRead, CasesWrite, AuditRead, KnowledgeRead, KnowledgeWrite]);
        assert_eq!(of(&[Role::Auditor]), [CasesRead, AuditRead, KnowledgeRead]);
        assert_eq!(of(&[Role::Admin]), [CasesRead, AuditRead, KnowledgeRead, KnowledgeWrite, Admin]);
        assert_eq!(of(&[Role::Operator]), [Admin]);
        assert_eq!(of(&[Role::Auditor, Role::Reporter]), [CasesRead, CasesWrite, AuditRead, KnowledgeRead]);
        assert!(of(&[]).is_empty());
    }

    #[test]
    fn a_key_lives_until_it_expires_or_is_revoked() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(3);
        assert!(key(None, None).is_live(now));
        assert!(key(Some(now + Duration::SECOND), None).is_live(now));
        assert!(!key(Some(now), None).is_live(now));
        assert!(!key(None, Some(now)).is_live(now));
    }

    #[test]
    fn a_successor_lives_as_long_as_its_predecessor_was_meant_to() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::days(3);
        let ten_days = OffsetDateTime::UNIX_EPOCH + Duration::days(10);
        assert_eq!(key(Some(ten_days), None).successor_expiry(now), Some(now + Duration::days(10)));
        assert_eq!(key(None, None).successor_expiry(now), None);
    }

    #[test]
    fn tenant_names_are_short_and_plain() {
        for fine in ["a", "rail-oversight", "7", &"a".repeat(63)] {
            assert!(is_tenant_name(fine), "{fine}");
        }
        for bad in ["", "-a", "A", "a b", "ä", "a_b", &"a".repeat(64)] {
            assert!(!is_tenant_name(bad), "{bad}");
        }
    }
}
