//! Who may know of a case: role by confidentiality by part taken, all of it.

use docket_domain::case::visibility::{Sight, may_see};
use docket_domain::case::{Case, Confidentiality, State};
use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::{Actor, Role};
use uuid::Uuid;

use super::world::{REPORTER, STRANGER, WORKER, actor, case_in};

/// role, public, internal, restricted: seen without taking part.
const BY_ROLE: [(Role, bool, bool, bool); 7] = [
    (Role::Reporter, true, false, false),
    (Role::Caseworker, true, true, false),
    (Role::Supervisor, true, true, true),
    (Role::Auditor, true, true, true),
    (Role::Admin, true, true, false),
    (Role::Operator, false, false, false),
    (Role::System, true, true, true),
];

const PEOPLE: [(PrincipalId, bool); 3] = [(REPORTER, true), (WORKER, true), (STRANGER, false)];

fn seen(role: Role, confidentiality: Confidentiality) -> bool {
    let (_, public, internal, restricted) = BY_ROLE.into_iter().find(|row| row.0 == role).unwrap();
    match confidentiality {
        Confidentiality::Public => public,
        Confidentiality::Internal => internal,
        Confidentiality::Restricted => restricted,
    }
}

fn cases() -> impl Iterator<Item = Case> {
    Confidentiality::ALL.iter().map(|level| Case { confidentiality: *level, ..case_in(State::Submitted) })
}

#[test]
fn a_case_is_seen_by_role_or_by_taking_part() {
    for case in cases() {
        for role in Role::ALL {
            for (who, takes_part) in PEOPLE {
                // The operator runs the platform and sees no case, not even one it is named in.
                let expected = *role != Role::Operator && (takes_part || seen(*role, case.confidentiality));
                let level = case.confidentiality;
                assert_eq!(may_see(&actor(who, &[*role]), &case), expected, "{role} {level} {takes_part}");
            }
        }
    }
}

#[test]
fn two_roles_see_what_either_sees() {
    for case in cases() {
        for (first, second) in Role::ALL.iter().flat_map(|first| Role::ALL.iter().map(move |second| (*first, *second)))
        {
            let expected = seen(first, case.confidentiality) || seen(second, case.confidentiality);
            assert_eq!(may_see(&actor(STRANGER, &[first, second]), &case), expected, "{first} {second}");
        }
    }
}

#[test]
fn another_tenant_and_somebody_without_roles_see_nothing_whatever_part_they_take() {
    for case in cases() {
        for (who, _) in PEOPLE {
            let everything = actor(who, Role::ALL);
            assert!(may_see(&everything, &case));
            let foreign = Actor { tenant_id: TenantId(Uuid::from_u128(0xf0)), ..everything };
            assert!(!may_see(&foreign, &case));
            assert!(!may_see(&actor(who, &[]), &case));
        }
    }
}

#[test]
fn the_sight_that_is_handed_to_the_store_says_the_same() {
    for (role, public, internal, restricted) in BY_ROLE {
        let sight = Sight::of(&actor(STRANGER, &[role]));
        assert_eq!(sight, Sight { public, internal, restricted }, "{role}");
        for level in Confidentiality::ALL {
            assert_eq!(sight.covers(*level), seen(role, *level), "{role} {level}");
        }
    }
}
