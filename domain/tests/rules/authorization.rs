//! Authorization on the object: what an actor may never do with a case, whatever state it is in.

use docket_domain::case::decide::authorize;
use docket_domain::case::{Case, Command, Guard, Refusal, State, fields, transitions};
use docket_domain::ids::PrincipalId;
use docket_domain::principal::Role;
use uuid::Uuid;

use super::world::{actor, case_in};

const STRANGER: PrincipalId = PrincipalId(Uuid::from_u128(0x57));

#[test]
fn an_actor_is_authorized_exactly_if_some_state_would_let_it() {
    for command in Command::ALL {
        for role in Role::ALL {
            for own in [true, false] {
                let allowed = transitions::TRANSITIONS.iter().any(|row| {
                    let staff = !matches!(role, Role::Reporter);
                    let guarded = row.guards.contains(&Guard::OwnCaseIfReporter);
                    row.command == *command && row.roles.has(*role) && (own || staff || !guarded)
                });
                for state in State::ALL {
                    let case = case_in(*state);
                    let who = actor(if own { case.reporter_id } else { STRANGER }, &[*role]);
                    let verdict = authorize(&case, *command, &who);
                    assert_eq!(verdict.is_ok(), allowed, "{command} {role} own: {own}");
                    assert!(verdict.err().is_none_or(|refusal| refusal.is_by_role()));
                }
            }
        }
    }
}

#[test]
fn the_refusal_names_the_roles_that_would_do_or_the_guard() {
    let case = case_in(State::Draft);
    let refusal = authorize(&case, Command::Close, &actor(STRANGER, &[Role::Auditor])).unwrap_err();
    assert_eq!(refusal.to_string(), "`close` needs one of the roles: caseworker, supervisor");
    let refusal = authorize(&case, Command::Withdraw, &actor(STRANGER, &[Role::Reporter])).unwrap_err();
    assert!(matches!(refusal, Refusal::GuardFailed { guard: Guard::OwnCaseIfReporter, .. }));
}

#[test]
fn editing_is_for_staff_and_for_whoever_reported_the_case() {
    let case = case_in(State::Decided);
    let judge = |case: &Case, id, role| fields::authorize_edit(case, &actor(id, &[role])).is_ok();
    for role in Role::ALL {
        let staff = matches!(role, Role::Caseworker | Role::Supervisor | Role::System);
        assert_eq!(judge(&case, STRANGER, *role), staff, "{role}");
        assert_eq!(judge(&case, case.reporter_id, *role), staff || *role == Role::Reporter, "{role}");
    }
}

#[test]
fn deleting_is_for_supervision_and_for_whoever_reported_the_case() {
    let reporter = case_in(State::Draft).reporter_id;
    let judge = |id, role| fields::authorize_deletion(reporter, &actor(id, &[role])).is_ok();
    for role in Role::ALL {
        let supervision = matches!(role, Role::Supervisor | Role::System);
        assert_eq!(judge(STRANGER, *role), supervision, "{role}");
        let creator = supervision || matches!(role, Role::Reporter | Role::Caseworker);
        assert_eq!(judge(reporter, *role), creator, "{role}");
    }
}
