//! Who acts: roles, scopes and the actor that every decision is made for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::{PrincipalId, TenantId};

/// A name that no variant of an enumeration carries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {kind}; use one of: {allowed}")]
pub struct UnknownName {
    /// What was being parsed, for instance `role`.
    pub kind: &'static str,
    /// The text that did not fit.
    pub value: String,
    /// The names that would have fitted, separated by commas.
    pub allowed: String,
}

/// Declares an enumeration with one wire name per variant: `ALL`, `as_str`, `Display`, `FromStr` and serde agree on it.
#[macro_export]
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::principal::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err($crate::principal::UnknownName {
                        kind: $kind,
                        value: text.chars().take(80).collect(),
                        allowed: Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", "),
                    }),
                }
            }
        }
    };
}

named_enum! {
    /// What a principal may do inside its tenant; a principal may hold several.
    Role, "role" {
        /// Opens and submits cases, answers questions, sees public cases and its own.
        Reporter = "reporter",
        /// Works on cases: reviews, asks for information, proposes decisions.
        Caseworker = "caseworker",
        /// Approves decisions, assigns, escalates, reopens, sees restricted cases.
        Supervisor = "supervisor",
        /// Reads everything including the audit trail and changes nothing.
        Auditor = "auditor",
        /// Manages the tenant's principals and API keys; sees no restricted case.
        Admin = "admin",
        /// Runs the platform: creates tenants; sees no tenant's cases.
        Operator = "operator",
        /// docket itself: imports and deadlines. Never given to a key or a token.
        System = "system",
    }
}

/// A small set of roles, stored as bits so that checks on the hot path allocate nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Roles(u8);

impl Roles {
    /// No role at all.
    pub const NONE: Self = Self(0);

    /// The set of exactly these roles.
    pub const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < roles.len() {
            bits |= 1 << (roles[index] as u8);
            index += 1;
        }
        Self(bits)
    }

    /// Whether the set holds `role`.
    pub const fn has(self, role: Role) -> bool {
        self.0 & (1 << (role as u8)) != 0
    }

    /// Whether both sets share at least one role.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The roles of the set, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.iter().copied().filter(move |role| self.has(*role))
    }

    /// Parses role names; the first unknown name is the error.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownName> {
        let roles = names.into_iter().map(Role::from_str).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(&roles))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter().map(Role::as_str)).finish()
    }
}

impl Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Role>::deserialize(deserializer).map(|roles| Self::of(&roles))
    }
}

named_enum! {
    /// What a credential may be used for, whatever roles its principal has.
    Scope, "scope" {
        /// Read cases, evidence and events.
        CasesRead = "cases:read",
        /// Create and change cases.
        CasesWrite = "cases:write",
        /// Read and verify the audit trail.
        AuditRead = "audit:read",
        /// Read documents, search them and ask questions.
        KnowledgeRead = "knowledge:read",
        /// Add, replace and delete documents.
        KnowledgeWrite = "knowledge:write",
        /// Manage principals, keys and tenants.
        Admin = "admin",
    }
}

named_enum! {
    /// What kind of actor a principal is.
    PrincipalKind, "principal kind" {
        /// A person.
        User = "user",
        /// A program.
        Service = "service",
        /// docket itself.
        System = "system",
    }
}

/// Who asks: the authenticated principal with the roles and scopes that hold for this request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The tenant whose data is touched.
    pub tenant_id: TenantId,
    /// The principal inside that tenant.
    pub principal_id: PrincipalId,
    /// Person, program or docket itself.
    pub kind: PrincipalKind,
    /// The roles that hold now.
    pub roles: Roles,
    /// What the presented credential may be used for.
    pub scopes: Vec<Scope>,
    /// The person on whose behalf a service or agent acts, when it says so.
    pub on_behalf_of: Option<PrincipalId>,
}

impl Actor {
    /// The system actor of a tenant.
    pub fn system(tenant_id: TenantId) -> Self {
        Self {
            tenant_id,
            principal_id: PrincipalId::SYSTEM,
            kind: PrincipalKind::System,
            roles: Roles::of(&[Role::System]),
            scopes: Scope::ALL.to_vec(),
            on_behalf_of: None,
        }
    }

    /// Whether the credential carries `scope`.
    pub fn has_scope(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_sets_hold_exactly_what_they_were_given() {
        for role in Role::ALL {
            let set = Roles::of(&[*role]);
            for other in Role::ALL {
                assert_eq!(set.has(*other), role == other);
                assert_eq!(set.intersects(Roles::of(&[*other])), role == other);
            }
        }
        assert!(!Roles::NONE.has(Role::Reporter));
    }

    #[test]
    fn names_survive_the_round_trip_and_unknown_names_say_what_is_allowed() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().as_ref(), Ok(role));
        }
        let error = "boss".parse::<Role>().expect_err("no such role");
        assert!(error.to_string().contains("`boss` is not a role; use one of: reporter, caseworker"), "{error}");
        assert_eq!(Roles::parse(["auditor", "admin"]), Ok(Roles::of(&[Role::Auditor, Role::Admin])));
        assert!(Roles::parse(["auditor", "root"]).is_err());
    }

    #[test]
    fn role_sets_serialise_as_names() {
        let set = Roles::of(&[Role::Admin, Role::Reporter]);
        let json = serde_json::to_string(&set).expect("serialises");
        assert_eq!(json, r#"["reporter","admin"]"#);
        assert_eq!(serde_json::from_str::<Roles>(&json).expect("parses"), set);
        assert_eq!(format!("{set:?}"), r#"{"reporter", "admin"}"#);
    }

    #[test]
    fn the_system_actor_carries_its_role_and_every_scope() {
        let actor = Actor::system(TenantId::PLATFORM);
        assert!(actor.roles.has(Role::System) && Scope::ALL.iter().all(|scope| actor.has_scope(*scope)));
    }
}
