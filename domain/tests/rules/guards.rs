//! Every guard: a case where it holds, one where it refuses, and the sentence it refuses with.

use docket_domain::case::guard::Facts;
use docket_domain::case::{Case, CommandInput, Guard, Refusal, State};
use docket_domain::principal::{Actor, Role};
use time::{Duration, OffsetDateTime};

use super::world::{NOW, PROPOSER, REPORTER, STRANGER, WORKER, actor, case_in, input};

fn check(
    guard: Guard,
    case: &Case,
    actor: &Actor,
    input: Option<&CommandInput>,
    now: OffsetDateTime,
) -> Result<(), String> {
    guard.check(&Facts { case, actor, input, now })
}

fn holds(guard: Guard, case: &Case, actor: &Actor, input: &CommandInput) {
    assert_eq!(check(guard, case, actor, Some(input), NOW), Ok(()), "{guard}");
}

#[track_caller]
fn refuses(guard: Guard, case: &Case, actor: &Actor, input: &CommandInput, sentence: &str) {
    assert_eq!(check(guard, case, actor, Some(input), NOW), Err(sentence.to_owned()), "{guard}");
}

fn worker() -> Actor {
    actor(WORKER, &[Role::Caseworker])
}

fn supervisor() -> Actor {
    actor(WORKER, &[Role::Supervisor])
}

#[test]
fn a_submission_needs_title_narrative_respondent_and_type_and_names_what_is_missing() {
    let full = case_in(State::Draft);
    holds(Guard::Complete, &full, &worker(), &input());
    let blank = |change: fn(&mut Case)| {
        let mut case = full.clone();
        change(&mut case);
        case
    };
    let says = |case: &Case, missing: &str| {
        refuses(Guard::Complete, case, &worker(), &input(), &format!("the case is incomplete: fill in {missing}"));
    };
    says(&blank(|case| case.title.clear()), "title");
    says(&blank(|case| case.narrative.clear()), "narrative");
    says(&blank(|case| case.respondent.clear()), "respondent");
    says(&blank(|case| case.case_type.clear()), "case_type");
    let both = blank(|case| {
        case.title.clear();
        case.case_type.clear();
    });
    says(&both, "title, case_type");
}

#[test]
fn a_reporter_touches_its_own_case_only_and_staff_any() {
    let case = case_in(State::Draft);
    let sentence = "a reporter may do this only on a case it reported itself";
    holds(Guard::OwnCaseIfReporter, &case, &actor(REPORTER, &[Role::Reporter]), &input());
    refuses(Guard::OwnCaseIfReporter, &case, &actor(STRANGER, &[Role::Reporter]), &input(), sentence);
    for role in [Role::Caseworker, Role::Supervisor, Role::System] {
        holds(Guard::OwnCaseIfReporter, &case, &actor(STRANGER, &[Role::Reporter, role]), &input());
    }
    for role in [Role::Auditor, Role::Admin, Role::Operator] {
        refuses(Guard::OwnCaseIfReporter, &case, &actor(STRANGER, &[role]), &input(), sentence);
    }
}

#[test]
fn a_review_needs_an_assignee_who_did_not_report_the_case() {
    let case = case_in(State::Submitted);
    holds(Guard::AssigneePresent, &case, &worker(), &input());
    holds(Guard::AssigneeNotReporter, &case, &worker(), &input());
    let nobody = Case { assignee_id: None, ..case.clone() };
    let sentence = "nobody is assigned; assign a caseworker first";
    refuses(Guard::AssigneePresent, &nobody, &worker(), &input(), sentence);
    let own = Case { assignee_id: Some(REPORTER), ..case };
    let sentence = "the assignee reported this case; assign somebody else";
    refuses(Guard::AssigneeNotReporter, &own, &worker(), &input(), sentence);
}

#[test]
fn a_new_assignee_is_somebody_other_than_the_reporter() {
    let case = case_in(State::Submitted);
    let guard = Guard::NewAssigneeNotReporter;
    holds(guard, &case, &supervisor(), &CommandInput { assignee_id: Some(STRANGER), ..input() });
    let sentence = "the new assignee reported this case; assign somebody else";
    refuses(guard, &case, &supervisor(), &CommandInput { assignee_id: Some(REPORTER), ..input() }, sentence);
    let sentence = "give the principal to assign";
    refuses(guard, &case, &supervisor(), &CommandInput { assignee_id: None, ..input() }, sentence);
}

#[test]
fn a_caseworker_assigns_itself_and_supervision_anyone() {
    let case = case_in(State::Submitted);
    let guard = Guard::CaseworkerAssignsItself;
    let other = CommandInput { assignee_id: Some(STRANGER), ..input() };
    holds(guard, &case, &worker(), &input());
    let sentence = "a caseworker may assign only itself; ask a supervisor to assign somebody else";
    refuses(guard, &case, &worker(), &other, sentence);
    for role in [Role::Supervisor, Role::System] {
        holds(guard, &case, &actor(WORKER, &[Role::Caseworker, role]), &other);
    }
}

#[test]
fn whoever_proposed_a_decision_cannot_approve_it_whatever_its_roles() {
    let case = case_in(State::DecisionProposed);
    holds(Guard::FourEyes, &case, &supervisor(), &input());
    let sentence = "you proposed this decision; somebody else must approve it (four eyes)";
    for roles in [&[Role::Supervisor][..], &[Role::System], Role::ALL] {
        refuses(Guard::FourEyes, &case, &actor(PROPOSER, roles), &input(), sentence);
    }
}

#[test]
fn open_questions_bar_a_decision_and_an_answer_needs_one() {
    let with = |open_information_requests| Case { open_information_requests, ..case_in(State::UnderReview) };
    holds(Guard::NoOpenInformationRequest, &with(0), &worker(), &input());
    let sentence = "2 information request(s) are still open; receive the answers first";
    refuses(Guard::NoOpenInformationRequest, &with(2), &worker(), &input(), sentence);
    holds(Guard::OpenInformationRequest, &with(1), &worker(), &input());
    let sentence = "no information request is open, so there is nothing to answer";
    refuses(Guard::OpenInformationRequest, &with(0), &worker(), &input(), sentence);
}

#[test]
fn a_deadline_is_extended_once_and_to_a_later_time() {
    let case = case_in(State::UnderReview);
    let due = case.due_at.unwrap();
    holds(Guard::NotExtendedBefore, &case, &supervisor(), &input());
    let again = Case { deadline_extended: true, ..case.clone() };
    let sentence = "the deadline was extended before; only one extension is possible";
    refuses(Guard::NotExtendedBefore, &again, &supervisor(), &input(), sentence);

    let to = |due_at| CommandInput { due_at, ..input() };
    let guard = Guard::ExtensionIsLater;
    holds(guard, &case, &supervisor(), &to(Some(due + Duration::MICROSECOND)));
    let sentence = format!("the new deadline must lie after the present one, {due}");
    refuses(guard, &case, &supervisor(), &to(Some(due)), &sentence);
    refuses(guard, &case, &supervisor(), &to(None), "give the new deadline");
    holds(guard, &Case { due_at: None, ..case }, &supervisor(), &to(Some(NOW)));
}

#[test]
fn a_deadline_can_be_extended_up_to_the_moment_it_passes_and_while_its_clock_stands_still() {
    let case = case_in(State::UnderReview);
    let due = case.due_at.unwrap();
    let at = |case: &Case, now| check(Guard::BeforeExpiry, case, &supervisor(), Some(&input()), now);
    assert_eq!(at(&case, due - Duration::MICROSECOND), Ok(()));
    let passed = format!("the deadline passed at {due}; it can be extended only before it passes");
    assert_eq!(at(&case, due), Err(passed));
    assert_eq!(at(&case_in(State::AwaitingInformation), due + Duration::days(1)), Ok(()));
    assert_eq!(at(&case_in(State::Draft), NOW), Err("the case has no deadline yet".to_owned()));
}

#[test]
fn texts_and_references_must_be_given_and_white_space_is_no_text() {
    let case = case_in(State::UnderReview);
    let text = |guard, set: fn(&mut CommandInput, Option<String>), sentence: &str| {
        for missing in [None, Some(String::new()), Some(" \t\n\u{a0}".to_owned())] {
            let mut without = input();
            set(&mut without, missing);
            refuses(guard, &case, &worker(), &without, sentence);
        }
        holds(guard, &case, &worker(), &input());
        let mut others = CommandInput::default();
        set(&mut others, Some("x".to_owned()));
        holds(guard, &case, &worker(), &others);
    };
    text(Guard::ReasonGiven, |input, text| input.reason = text, "give a reason");
    text(Guard::QuestionGiven, |input, text| input.question = text, "give the question");
    text(Guard::AnswerGiven, |input, text| input.answer = text, "give the answer");
    text(Guard::DecisionGiven, |input, text| input.decision = text, "give the text of the decision");
    text(Guard::NoteGiven, |input, text| input.body = text, "give the text of the note");

    holds(Guard::EvidenceGiven, &case, &worker(), &input());
    let without = CommandInput { evidence_id: None, ..input() };
    refuses(Guard::EvidenceGiven, &case, &worker(), &without, "give the evidence");

    holds(Guard::TargetGiven, &case, &worker(), &input());
    let without = CommandInput { target_case_id: None, ..input() };
    refuses(Guard::TargetGiven, &case, &worker(), &without, "give the case to link to");
    let itself = CommandInput { target_case_id: Some(case.id), ..input() };
    refuses(Guard::TargetGiven, &case, &worker(), &itself, "a case cannot be linked to itself");
}

#[test]
fn a_guard_on_input_names_its_member_and_holds_while_only_the_possibility_is_asked_for() {
    let fields = [
        (Guard::ReasonGiven, "reason"),
        (Guard::QuestionGiven, "question"),
        (Guard::AnswerGiven, "answer"),
        (Guard::DecisionGiven, "decision"),
        (Guard::NoteGiven, "body"),
        (Guard::EvidenceGiven, "evidence"),
        (Guard::TargetGiven, "target_case_id"),
        (Guard::NewAssigneeNotReporter, "assignee_id"),
        (Guard::CaseworkerAssignsItself, "assignee_id"),
        (Guard::ExtensionIsLater, "due_at"),
    ];
    let case = case_in(State::UnderReview);
    for guard in Guard::ALL {
        let field = fields.iter().find(|(known, _)| known == guard).map(|(_, field)| *field);
        assert_eq!(guard.input_field(), field, "{guard}");
        assert_eq!(guard.needs_input(), field.is_some(), "{guard}");
        if guard.needs_input() {
            assert_eq!(check(*guard, &case, &worker(), None, NOW), Ok(()), "{guard}");
        }
        let refusal = Refusal::GuardFailed { guard: *guard, reason: "because".to_owned() };
        assert_eq!((refusal.input_field(), refusal.rule()), (field, guard.as_str()));
        assert_eq!(refusal.to_string(), "because");
        assert_eq!(refusal.is_by_role(), *guard == Guard::OwnCaseIfReporter);
    }
}

#[test]
fn a_guard_on_the_case_is_judged_without_input_too() {
    let nobody = Case { assignee_id: None, ..case_in(State::Submitted) };
    assert!(check(Guard::AssigneePresent, &nobody, &worker(), None, NOW).is_err());
    let approver = actor(PROPOSER, &[Role::Supervisor]);
    assert!(check(Guard::FourEyes, &case_in(State::DecisionProposed), &approver, None, NOW).is_err());
}
