//! The list of actions tells the truth: what it allows, a well-formed command does; what it refuses, no input rescues.

use docket_domain::case::deadline::Calendar;
use docket_domain::case::{Case, Command, CommandInput, Guard, State, decide, verdicts};
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{Actor, Role, Roles};
use proptest::prelude::*;
use time::Duration;

use super::world::{NOW, PROPOSER, REPORTER, STRANGER, WORKER, actor, case_for, case_in, input, player};

/// What a well-informed client would send: a later deadline, somebody it may assign.
fn well_formed(case: &Case, actor: &Actor) -> CommandInput {
    let anyone = actor.roles.intersects(Roles::of(&[Role::Supervisor, Role::System]));
    let somebody = [WORKER, STRANGER].into_iter().find(|id| *id != case.reporter_id);
    CommandInput {
        assignee_id: if anyone { somebody } else { Some(actor.principal_id) },
        due_at: Some(case.due_at.unwrap_or(NOW).max(NOW) + Duration::days(1)),
        ..input()
    }
}

fn people() -> impl Strategy<Value = PrincipalId> {
    prop::sample::select(vec![REPORTER, WORKER, PROPOSER, STRANGER])
}

fn actors() -> impl Strategy<Value = Actor> {
    let roles = prop::collection::vec(prop::sample::select(Role::ALL), 0..3);
    (people(), roles).prop_map(|(id, roles)| actor(id, &roles))
}

/// Cases whose facts are in every combination, also ones that no life would lead to.
fn cases() -> impl Strategy<Value = Case> {
    let facts = (0_u32..3, any::<bool>(), any::<bool>(), -3_i64..4);
    let people = (people(), prop::option::of(people()), prop::option::of(people()));
    (prop::sample::select(State::ALL), people, facts).prop_map(|(state, people, facts)| {
        let (reporter_id, assignee_id, proposed_by) = people;
        let (open_information_requests, extended, complete, days) = facts;
        let case = case_in(state);
        let narrative = if complete { case.narrative.clone() } else { String::new() };
        let due_at = case.due_at.map(|_| NOW + Duration::days(days));
        let people = Case { reporter_id, assignee_id, proposed_by, ..case };
        Case { open_information_requests, deadline_extended: extended, narrative, due_at, ..people }
    })
}

proptest! {
    #[test]
    fn a_command_is_listed_as_allowed_exactly_when_it_can_succeed(case in cases(), actor in actors()) {
        let list = verdicts(&case, &actor, NOW);
        prop_assert_eq!(list.iter().map(|verdict| verdict.command).collect::<Vec<_>>(), Command::ALL);
        let input = well_formed(&case, &actor);
        for verdict in list {
            let decided = decide(&case, verdict.command, &input, &actor, NOW, &Calendar::default());
            let context = format!("{} in {}: {:?} but {:?}", verdict.command, case.state, verdict.refusal, decided);
            match (&verdict.refusal, &decided) {
                (None, Ok(next)) => prop_assert_eq!(verdict.to, Some(next.state), "{}", context),
                (Some(foreseen), Err(refusal)) => prop_assert_eq!(foreseen.rule(), refusal.rule(), "{}", context),
                _ => prop_assert!(false, "{}", context),
            }
        }
    }

    #[test]
    fn what_is_listed_as_refused_is_refused_with_any_input(case in cases(), actor in actors(), assignee in people()) {
        let input = CommandInput { assignee_id: Some(assignee), ..well_formed(&case, &actor) };
        for verdict in verdicts(&case, &actor, NOW).into_iter().filter(|verdict| verdict.refusal.is_some()) {
            let decided = decide(&case, verdict.command, &input, &actor, NOW, &Calendar::default());
            prop_assert!(decided.is_err(), "{} in {}: {:?}", verdict.command, case.state, verdict.refusal);
        }
    }
}

#[test]
fn for_each_state_and_role_the_list_agrees_with_the_decision() {
    for (state, role) in State::ALL.iter().flat_map(|state| Role::ALL.iter().map(move |role| (*state, *role))) {
        for command in Command::ALL {
            let case = case_for(state, *command);
            let list = verdicts(&case, &player(role), NOW);
            let verdict = list.iter().find(|verdict| verdict.command == *command).unwrap();
            let input = well_formed(&case, &player(role));
            let decided = decide(&case, *command, &input, &player(role), NOW, &Calendar::default());
            assert_eq!(verdict.refusal, decided.err(), "{state} {command} {role}");
        }
    }
}

#[test]
fn the_list_names_the_members_that_a_command_must_carry_each_once() {
    let list = verdicts(&case_in(State::UnderReview), &player(Role::Supervisor), NOW);
    let requires = |command| list.iter().find(|verdict| verdict.command == command).unwrap().requires.clone();
    assert_eq!(requires(Command::Assign), ["assignee_id"]);
    assert_eq!(requires(Command::ExtendDeadline), ["due_at", "reason"]);
    assert_eq!(requires(Command::Link), ["target_case_id", "reason"]);
    assert_eq!(requires(Command::Withdraw), Vec::<&str>::new());
    assert_eq!(requires(Command::Submit), Vec::<&str>::new(), "no row, no members");
}

#[test]
fn a_caseworker_who_reported_the_case_learns_that_it_cannot_be_assigned() {
    let case = case_in(State::Submitted);
    let verdict = |actor: &Actor| {
        let list = verdicts(&case, actor, NOW);
        list.into_iter().find(|verdict| verdict.command == Command::Assign).unwrap().refusal
    };
    let refusal = verdict(&actor(REPORTER, &[Role::Caseworker])).expect("nobody is left to assign");
    assert_eq!(refusal.rule(), Guard::NewAssigneeNotReporter.as_str());
    assert_eq!(refusal.to_string(), "you reported this case; ask a supervisor to assign somebody else");
    assert_eq!(verdict(&actor(REPORTER, &[Role::Supervisor])), None);
    assert_eq!(verdict(&actor(WORKER, &[Role::Caseworker])), None);
}
