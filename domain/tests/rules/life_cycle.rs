//! Lives of cases: random sequences of commands, edits and time, and what holds after every step.

use docket_domain::case::deadline::{Calendar, due_at};
use docket_domain::case::fields::{create, edit};
use docket_domain::case::{
    Case, CaseChanges, Command, CommandInput, Confidentiality, NewCase, Severity, State, decide,
};
use docket_domain::ids::{CaseId, PrincipalId};
use docket_domain::principal::{Actor, Role};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::world::{NOW, REPORTER, WORKER, actor, case_in, input, player};

const EVERYTHING: &[Role] = &[Role::Reporter, Role::Caseworker, Role::Supervisor];

#[derive(Debug, Clone)]
enum Act {
    Command(Command, bool),
    Edit(CaseChanges),
}

#[derive(Debug, Clone)]
struct Step {
    who: PrincipalId,
    act: Act,
    minutes: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let command = (prop::sample::select(Command::ALL), prop::bool::weighted(0.95));
    let changes = (prop::option::of(prop::sample::select(Severity::ALL)), prop::option::of(any::<bool>()));
    let act = prop_oneof![
        9 => command.prop_map(|(command, well_formed)| Act::Command(command, well_formed)),
        1 => changes.prop_map(|(severity, legal_hold)| Act::Edit(CaseChanges { severity, legal_hold, ..CaseChanges::default() })),
    ];
    let step = (1_u128..4, act, 0_i64..20_000);
    prop::collection::vec(
        step.prop_map(|(who, act, minutes)| Step { who: PrincipalId(Uuid::from_u128(who)), act, minutes }),
        1..80,
    )
}

fn draft() -> Case {
    let new = NewCase {
        reference: "R".to_owned(),
        title: "T".to_owned(),
        narrative: "N".to_owned(),
        respondent: "X".to_owned(),
        case_type: "Y".to_owned(),
        severity: Severity::Medium,
        confidentiality: Confidentiality::Public,
        attributes: serde_json::Map::new(),
    };
    create(CaseId(Uuid::from_u128(9)), new, &player(Role::Reporter), NOW).expect("reporters create")
}

fn perform(case: &Case, step: &Step, actor: &Actor, now: OffsetDateTime) -> Option<Case> {
    match &step.act {
        Act::Command(command, well_formed) => {
            let due_at = case.due_at.map(|due| due.max(now) + Duration::days(3));
            let input = if *well_formed {
                CommandInput { due_at, assignee_id: Some(actor.principal_id), ..input() }
            } else {
                CommandInput::default()
            };
            decide(case, *command, &input, actor, now, &Calendar::default()).ok()
        }
        Act::Edit(changes) => edit(case, changes.clone(), actor, now, &Calendar::default()).ok(),
    }
}

fn consistent(case: &Case) -> Result<(), TestCaseError> {
    prop_assert_eq!(case.closed_at.is_some(), case.state.is_terminal());
    prop_assert_eq!(case.clock_paused_at.is_some(), case.state == State::AwaitingInformation);
    prop_assert_eq!(case.due_at.is_some(), !matches!(case.state, State::Draft) && case.due_at.is_some());
    let decided = matches!(case.state, State::DecisionProposed | State::Decided | State::Closed);
    prop_assert_eq!(case.proposed_by.is_some(), decided);
    prop_assert_eq!(case.decision.is_some(), decided);
    prop_assert!(case.state == State::Draft || case.state == State::Withdrawn || case.due_at.is_some());
    prop_assert!(case.state != State::Closed || case.open_information_requests == 0);
    Ok(())
}

proptest! {
    #[test]
    fn every_life_keeps_the_promises(steps in steps()) {
        let (mut case, mut now) = (draft(), NOW);
        let (mut proposer, mut extensions, mut open) = (None, 0, 0_i64);
        for step in steps {
            now += Duration::minutes(step.minutes);
            let actor = actor(step.who, EVERYTHING);
            let Some(next) = perform(&case, &step, &actor, now) else { continue };
            prop_assert_eq!(next.version, case.version + 1);
            prop_assert_eq!(next.updated_at, now);
            prop_assert_eq!((next.id, next.tenant_id, next.reporter_id), (case.id, case.tenant_id, case.reporter_id));
            prop_assert_eq!((next.created_at, next.opened_at), (case.created_at, case.opened_at));
            match step.act {
                Act::Command(Command::ProposeDecision, _) => proposer = Some(step.who),
                Act::Command(Command::ApproveDecision, _) => prop_assert_ne!(proposer, Some(step.who)),
                Act::Command(Command::ExtendDeadline, _) => extensions += 1,
                Act::Command(Command::RequestInformation, _) => open += 1,
                Act::Command(Command::ReceiveInformation, _) => open -= 1,
                Act::Command(Command::Reopen, _) => extensions = 0,
                _ => {}
            }
            // A new severity and a reopening give a fresh deadline, which may come before an extended one.
            if case.severity == next.severity && !matches!(step.act, Act::Command(Command::Reopen, _)) {
                prop_assert!(next.due_at >= case.due_at, "{:?} then {:?}", case, next);
            }
            if case.state.is_terminal() && next.state.is_terminal() {
                prop_assert_eq!(case.closed_at, next.closed_at);
            }
            prop_assert!(extensions <= 1);
            prop_assert!(open >= 0);
            prop_assert_eq!(i64::from(next.open_information_requests), open);
            consistent(&next)?;
            case = next;
        }
    }
}

fn apply(case: &Case, command: Command, now: OffsetDateTime) -> Case {
    let supervisor = actor(WORKER, &[Role::Supervisor]);
    decide(case, command, &input(), &supervisor, now, &Calendar::default()).expect("allowed")
}

#[test]
fn a_submitted_case_is_due_by_its_severity_from_now() {
    for severity in Severity::ALL {
        let case = Case { severity: *severity, ..case_in(State::Draft) };
        assert_eq!(apply(&case, Command::Submit, NOW).due_at, Some(due_at(NOW, *severity, &Calendar::default())));
    }
}

#[test]
fn a_decision_is_recorded_with_its_proposer_and_cleared_by_rework_and_reopening() {
    let proposed = apply(&case_in(State::UnderReview), Command::ProposeDecision, NOW);
    assert_eq!((proposed.proposed_by, proposed.decision.as_deref()), (Some(WORKER), Some("text")));
    for (state, command) in [(State::DecisionProposed, Command::ReturnForRework), (State::Closed, Command::Reopen)] {
        let again = apply(&case_in(state), command, NOW);
        assert_eq!((again.proposed_by, again.decision, again.closed_at), (None, None, None));
    }
}

#[test]
fn an_extension_sets_the_new_deadline_and_is_used_up() {
    let extended = apply(&case_in(State::UnderReview), Command::ExtendDeadline, NOW);
    assert_eq!((extended.due_at, extended.deadline_extended), (input().due_at, true));
}

#[test]
fn an_assignment_changes_the_assignee_and_nothing_else_of_the_matter() {
    let before = Case { assignee_id: None, ..case_in(State::UnderReview) };
    let after = apply(&before, Command::Assign, NOW);
    assert_eq!(after, Case { assignee_id: Some(WORKER), version: before.version + 1, updated_at: NOW, ..before });
}

#[test]
fn the_time_a_question_is_out_does_not_count() {
    // Monday: on the Saturday of this world no working time would be lost.
    let now = NOW + Duration::days(2);
    let asked = apply(&case_in(State::UnderReview), Command::RequestInformation, now);
    assert_eq!((asked.clock_paused_at, asked.open_information_requests), (Some(now), 1));
    let later = now + Duration::hours(6);
    let again = apply(&asked, Command::RequestInformation, later);
    assert_eq!((again.clock_paused_at, again.open_information_requests), (Some(now), 2), "one pause, two questions");
    let answered = apply(&again, Command::ReceiveInformation, later);
    assert_eq!(answered.due_at, asked.due_at.map(|due| due + Duration::hours(6)));
    assert_eq!((answered.clock_paused_at, answered.open_information_requests), (None, 1));
}

#[test]
fn a_severity_changed_while_a_question_is_out_counts_the_pause_from_the_change_on() {
    let paused = case_in(State::AwaitingInformation);
    let changes = CaseChanges { severity: Some(Severity::Critical), ..CaseChanges::default() };
    let edited = edit(&paused, changes, &player(Role::Supervisor), NOW, &Calendar::default()).expect("allowed");
    let due = due_at(NOW, Severity::Critical, &Calendar::default());
    assert_eq!(edited.due_at, Some(due));
    // From Saturday to Monday at 11: eleven hours of working time.
    let answered = apply(&edited, Command::ReceiveInformation, NOW + Duration::hours(49));
    assert_eq!(answered.due_at, Some(due + Duration::hours(11)), "the days before the change are in the new deadline");
}

#[test]
fn a_closed_case_keeps_the_time_of_its_closing_when_something_is_added() {
    let closed = case_in(State::Closed);
    assert_eq!(apply(&closed, Command::AddNote, NOW).closed_at, closed.closed_at);
    assert_eq!(apply(&case_in(State::Decided), Command::Close, NOW).closed_at, Some(NOW));
    assert_eq!(apply(&case_in(State::Submitted), Command::Withdraw, NOW).closed_at, Some(NOW));
}

#[test]
fn a_case_knows_its_entity_tag() {
    assert_eq!(case_in(State::Draft).etag(), "\"v7\"");
    assert_eq!(draft().reporter_id, REPORTER);
}

#[test]
fn a_reopened_case_gets_a_fresh_deadline_by_its_severity_and_its_extension_back() {
    for severity in Severity::ALL {
        let old = NOW - Duration::days(400);
        let closed = Case {
            severity: *severity,
            due_at: Some(old),
            deadline_extended: true,
            clock_paused_at: Some(old),
            ..case_in(State::Closed)
        };
        let reopened = apply(&closed, Command::Reopen, NOW);
        assert_eq!(reopened.due_at, Some(due_at(NOW, *severity, &Calendar::default())));
        assert_eq!((reopened.deadline_extended, reopened.clock_paused_at), (false, None));
    }
    // A case that was imported as closed never had a deadline; reopened it has one.
    let imported = Case { due_at: None, ..case_in(State::Closed) };
    assert!(apply(&imported, Command::Reopen, NOW).due_at.is_some());
}
