//! Who may know of a case: the one predicate. The same rule stands in SQL (`adapters/postgres`), and a test holds them together.

use super::aggregate::Case;
use super::names::Confidentiality;
use crate::principal::{Actor, Role, Roles};

/// Roles that see internal cases.
const SEES_INTERNAL: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);
/// Roles that see restricted cases they have no part in.
const SEES_RESTRICTED: Roles = Roles::of(&[Role::Supervisor, Role::Auditor, Role::System]);
/// Roles that see public cases: everyone but the platform's operator.
const SEES_PUBLIC: Roles =
    Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);

/// What an actor may see, reduced to what SQL needs: three flags and who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Sees public cases.
    pub public: bool,
    /// Sees internal cases without taking part in them.
    pub internal: bool,
    /// Sees restricted cases without taking part in them.
    pub restricted: bool,
}

impl Sight {
    /// The sight that the actor's roles give.
    pub fn of(actor: &Actor) -> Self {
        Self {
            public: actor.roles.intersects(SEES_PUBLIC),
            internal: actor.roles.intersects(SEES_INTERNAL),
            restricted: actor.roles.intersects(SEES_RESTRICTED),
        }
    }

    /// Whether cases of this confidentiality are seen by role alone.
    pub const fn covers(self, confidentiality: Confidentiality) -> bool {
        match confidentiality {
            Confidentiality::Public => self.public,
            Confidentiality::Internal => self.internal,
            Confidentiality::Restricted => self.restricted,
        }
    }
}

/// Whether the actor may know that this case exists.
///
/// True when it belongs to the actor's tenant and either the actor's roles cover its confidentiality, or the actor has
/// any sight at all and takes part as reporter or assignee.
pub fn may_see(actor: &Actor, case: &Case) -> bool {
    let sight = Sight::of(actor);
    let takes_part = case.reporter_id == actor.principal_id || case.assignee_id == Some(actor.principal_id);
    case.tenant_id == actor.tenant_id && (sight.covers(case.confidentiality) || (sight.public && takes_part))
}
