//! Who may know of a document, and so of its passages: the rule of cases, with whoever brought it as the one who takes part.
//! The same rule stands in SQL, with the same three flags.

use super::record::Document;
use crate::case::Confidentiality;
use crate::case::visibility::Sight;
use crate::principal::{Actor, Role, Roles};

/// Roles that bring documents in and take them out.
const CURATES: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::Admin, Role::System]);

/// Whether the actor may know that this document exists.
pub fn may_see(actor: &Actor, document: &Document) -> bool {
    let sight = Sight::of(actor);
    let brought_it = document.created_by == actor.principal_id;
    document.tenant_id == actor.tenant_id && (sight.covers(document.confidentiality) || (sight.public && brought_it))
}

/// Whether the actor may bring in, replace or remove documents of this confidentiality: only what it sees by its role.
pub fn may_curate(actor: &Actor, confidentiality: Confidentiality) -> bool {
    actor.roles.intersects(CURATES) && Sight::of(actor).covers(confidentiality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TenantId;

    #[test]
    fn only_those_who_see_documents_by_role_may_bring_them() {
        let with = |role| Actor { roles: Roles::of(&[role]), ..Actor::system(TenantId::PLATFORM) };
        for (role, expected) in [
            (Role::Reporter, [false, false, false]),
            (Role::Caseworker, [true, true, false]),
            (Role::Supervisor, [true, true, true]),
            (Role::Auditor, [false, false, false]),
            (Role::Admin, [true, true, false]),
            (Role::Operator, [false, false, false]),
            (Role::System, [true, true, true]),
        ] {
            let levels = [Confidentiality::Public, Confidentiality::Internal, Confidentiality::Restricted];
            assert_eq!(levels.map(|level| may_curate(&with(role), level)), expected, "{role}");
        }
    }
}
