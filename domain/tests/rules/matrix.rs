//! Every state, every command, every role, and every guard's fact both ways.
//!
//! Two independent models hold `decide` from both sides. The first test asks `decide` alone and writes down what it
//! does; the committed text is what a reviewer agreed to. The second derives from the table what must happen.

use std::fmt::Write;

use docket_domain::case::transitions::{self, TRANSITIONS};
use docket_domain::case::{Case, Command, CommandInput, Guard, Refusal, State, decide};
use docket_domain::principal::{Actor, Role};

use super::snapshot::{assert_fresh, workspace};
use super::world::{NOW, PROPOSER, STRANGER, case_for, input, player};

/// One question put to `decide`.
#[derive(Clone)]
struct Situation {
    case: Case,
    command: Command,
    input: CommandInput,
    actor: Actor,
}

impl Situation {
    fn favourable(state: State, command: Command, role: Role) -> Self {
        Self { case: case_for(state, command), command, input: input(), actor: player(role) }
    }

    fn decide(&self) -> Result<Case, Refusal> {
        decide(
            &self.case,
            self.command,
            &self.input,
            &self.actor,
            NOW,
            &docket_domain::case::deadline::Calendar::default(),
        )
    }
}

/// Turns the one fact that a guard looks at against it.
fn spoil(guard: Guard, at: &mut Situation) {
    let Situation { case, input, actor, .. } = at;
    match guard {
        Guard::OwnCaseIfReporter => case.reporter_id = STRANGER,
        Guard::Complete => case.narrative.clear(),
        Guard::AssigneePresent => case.assignee_id = None,
        Guard::AssigneeNotReporter => case.assignee_id = Some(case.reporter_id),
        Guard::NewAssigneeNotReporter => input.assignee_id = Some(case.reporter_id),
        Guard::CaseworkerAssignsItself => input.assignee_id = Some(PROPOSER),
        Guard::FourEyes => case.proposed_by = Some(actor.principal_id),
        Guard::NoOpenInformationRequest => case.open_information_requests = 2,
        Guard::OpenInformationRequest => case.open_information_requests = 0,
        Guard::NotExtendedBefore => case.deadline_extended = true,
        Guard::BeforeExpiry => case.due_at = None,
        Guard::ExtensionIsLater => input.due_at = case_for(State::Submitted, Command::Submit).due_at,
        Guard::ReasonGiven => input.reason = Some(" \n".to_owned()),
        Guard::QuestionGiven => input.question = None,
        Guard::AnswerGiven => input.answer = Some(String::new()),
        Guard::DecisionGiven => input.decision = None,
        Guard::NoteGiven => input.body = None,
        Guard::EvidenceGiven => input.evidence_id = None,
        Guard::TargetGiven => input.target_case_id = Some(case.id),
    }
}

/// Which fact a guard looks at: two guards of one fact cannot be spoilt together.
fn fact(guard: Guard) -> &'static str {
    match guard {
        Guard::AssigneePresent | Guard::AssigneeNotReporter => "assignee",
        Guard::NewAssigneeNotReporter | Guard::CaseworkerAssignsItself => "new assignee",
        Guard::NoOpenInformationRequest | Guard::OpenInformationRequest => "requests",
        other => other.as_str(),
    }
}

/// Guards that judge some roles only.
fn concerns(guard: Guard, role: Role) -> bool {
    match guard {
        Guard::OwnCaseIfReporter => role == Role::Reporter,
        Guard::CaseworkerAssignsItself => role == Role::Caseworker,
        _ => true,
    }
}

fn every() -> impl Iterator<Item = (State, Command, Role)> {
    State::ALL.iter().flat_map(|state| {
        Command::ALL.iter().flat_map(move |command| Role::ALL.iter().map(move |role| (*state, *command, *role)))
    })
}

#[test]
fn what_decide_does_is_what_the_committed_matrix_says() {
    let mut text = String::from(
        "# What `decide` does: state, command, next state, roles that may, guards that can refuse. A dash: never possible.\n",
    );
    for state in State::ALL {
        text.push('\n');
        for command in Command::ALL {
            let (mut to, mut roles, mut guards) = (None, Vec::new(), Vec::new());
            for role in Role::ALL {
                let favourable = Situation::favourable(*state, *command, *role);
                let Ok(next) = favourable.decide() else { continue };
                assert!(to.is_none_or(|to| to == next.state), "the next state does not depend on the role");
                to = Some(next.state);
                roles.push(role.as_str());
                for guard in Guard::ALL {
                    let mut spoilt = favourable.clone();
                    spoil(*guard, &mut spoilt);
                    let refused = spoilt.decide().is_err_and(|refusal| refusal.rule() == guard.as_str());
                    if refused && !guards.contains(&guard.as_str()) {
                        guards.push(guard.as_str());
                    }
                }
            }
            let to = to.map_or("-", State::as_str);
            let line = format!("{state:20} {command:19} {to:20} {:38} {}", roles.join(","), guards.join(","));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    assert_fresh(&workspace().join("domain/tests/transition_matrix.txt"), &text);
}

#[test]
fn each_state_command_and_role_is_judged_as_the_table_says_with_every_fact_both_ways() {
    let mut judged = 0;
    for (state, command, role) in every() {
        let row = TRANSITIONS.iter().find(|row| (row.from, row.command) == (state, command));
        let favourable = Situation::favourable(state, command, role);
        let pairs = Guard::ALL
            .iter()
            .enumerate()
            .flat_map(|(index, first)| Guard::ALL[index..].iter().map(move |second| (*first, *second)));
        for (first, second) in pairs.filter(|(first, second)| first == second || fact(*first) != fact(*second)) {
            let mut situation = favourable.clone();
            // The case's reporter first: other facts are spoilt in relation to it.
            let (early, late) = if second == Guard::OwnCaseIfReporter { (second, first) } else { (first, second) };
            spoil(early, &mut situation);
            spoil(late, &mut situation);
            let spoilt = [first, second];
            let answer = situation.decide();
            judged += 1;
            let Some(row) = row else {
                assert!(matches!(answer, Err(Refusal::WrongState { .. })), "{state} {command} {role}: {answer:?}");
                continue;
            };
            if !row.roles.has(role) {
                assert!(matches!(answer, Err(Refusal::WrongRole { .. })), "{state} {command} {role}: {answer:?}");
                continue;
            }
            // The first guard of the row whose fact is against it.
            let against = row.guards.iter().find(|guard| spoilt.contains(guard) && concerns(**guard, role));
            match (against, answer) {
                (None, Ok(next)) => assert_eq!((next.state, next.version), (row.to, situation.case.version + 1)),
                (Some(guard), Err(Refusal::GuardFailed { guard: refused, reason })) => {
                    assert_eq!(*guard, refused, "{state} {command} {role} {spoilt:?}");
                    assert!(!reason.is_empty());
                }
                (against, answer) => panic!("{state} {command} {role} {spoilt:?}: {against:?} but {answer:?}"),
            }
        }
    }
    assert!(judged > 9 * 17 * 7 * 150, "all {judged} questions were asked");
}

#[test]
fn the_table_has_each_state_and_command_once_and_every_guard_somewhere() {
    for (index, row) in TRANSITIONS.iter().enumerate() {
        let again = TRANSITIONS[index + 1..].iter().any(|other| (other.from, other.command) == (row.from, row.command));
        assert!(!again, "{} {} stands twice", row.from, row.command);
        let found = transitions::find(row.from, row.command).unwrap();
        assert_eq!((found.from, found.command, found.to), (row.from, row.command, row.to));
    }
    for guard in Guard::ALL {
        assert!(TRANSITIONS.iter().any(|row| row.guards.contains(guard)), "{guard} guards nothing");
    }
    assert!(TRANSITIONS.iter().all(|row| !row.roles.has(Role::Auditor) && !row.roles.has(Role::Admin)));
    assert!(TRANSITIONS.iter().all(|row| !row.roles.has(Role::Operator) && row.roles.has(Role::System)));
}

#[test]
fn a_refusal_names_where_the_command_is_possible_and_which_roles_would_do() {
    let draft = Situation::favourable(State::Draft, Command::ReturnForRework, Role::Supervisor).decide().unwrap_err();
    let sentence = "`return_for_rework` is not possible in state `draft`; it is possible in: decision_proposed";
    assert_eq!((draft.to_string().as_str(), draft.rule()), (sentence, "state"));
    let by_role = Situation::favourable(State::Decided, Command::Close, Role::Auditor).decide().unwrap_err();
    let sentence = "`close` in state `decided` needs one of the roles: caseworker, supervisor";
    assert_eq!((by_role.to_string().as_str(), by_role.rule()), (sentence, "role"));
    assert!(by_role.is_by_role() && !draft.is_by_role());
    assert_eq!((by_role.input_field(), draft.input_field()), (None, None));
}

#[test]
fn the_roles_of_a_command_are_the_union_of_its_rows() {
    for command in Command::ALL {
        let rows = TRANSITIONS.iter().filter(|row| row.command == *command);
        let expected: Vec<Role> =
            Role::ALL.iter().copied().filter(|role| rows.clone().any(|row| row.roles.has(*role))).collect();
        assert_eq!(transitions::roles_allowing(*command).collect::<Vec<_>>(), expected);
        let states: Vec<State> = rows.map(|row| row.from).collect();
        assert_eq!(transitions::states_allowing(*command).collect::<Vec<_>>(), states);
    }
}
