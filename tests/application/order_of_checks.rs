//! Which refusal wins when several apply: authorization, replay, 428, 412, role and state (403, 409), input (422).

use docket::application::cases::edit_case::edit_case;
use docket::application::cases::transition_case::refuse_unreadable;
use docket::application::cases::unit_of_work::ChangeRequest;
use docket::application::error::{Invalid, UseCaseError};
use docket::application::request::{Caller, IfMatch};
use docket_domain::case::{Command, CommandInput, Confidentiality, Guard, Refusal};
use docket_domain::ids::CaseId;
use docket_domain::principal::{Role, Scope};
use uuid::Uuid;

use super::desk::{Ask, Desk, ask, caller, claim, new_case, reporter, supervisor};
use super::fakes::PlainPresenter;

fn mistakes() -> Vec<Invalid> {
    vec![Invalid::new("/reason", "must be text")]
}

/// The error, which must name the actor's role as the cause.
fn by_role(error: UseCaseError) -> UseCaseError {
    assert!(matches!(&error, UseCaseError::Refused { refusal, .. } if refusal.is_by_role()), "{error}");
    error
}

fn without_scope(mut caller: Caller) -> Caller {
    caller.actor.scopes = vec![Scope::CasesRead];
    caller
}

/// A request with every mistake at once.
fn hopeless(case: CaseId) -> Ask<'static> {
    Ask { if_match: IfMatch::Absent, input: Err(mistakes()), ..ask(case, Command::Close, "hopeless") }
}

#[tokio::test]
async fn the_checks_come_in_their_order_from_scope_to_input() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Internal).await;
    let scope = desk.transition(Ask { caller: without_scope(supervisor()), ..hopeless(case) }).await;
    assert!(matches!(scope, Err(UseCaseError::MissingScope(Scope::CasesWrite))));
    let role = desk.transition(Ask { caller: caller(9, &[Role::Auditor]), ..hopeless(case) }).await;
    let role = role.map_err(by_role);
    assert_eq!(role.unwrap_err().to_string(), "`close` needs one of the roles: caseworker, supervisor");
    let hidden = Ask { command: Command::Submit, caller: caller(9, &[Role::Reporter]), ..hopeless(case) };
    assert!(matches!(desk.transition(hidden).await, Err(UseCaseError::NotFound("case"))));
    let missing = desk.transition(hopeless(CaseId(Uuid::nil()))).await;
    assert!(matches!(missing, Err(UseCaseError::NotFound("case"))));
    assert!(matches!(desk.transition(hopeless(case)).await, Err(UseCaseError::PreconditionRequired)));
    let stale = Ask { if_match: IfMatch::Version(9), ..hopeless(case) };
    assert!(matches!(desk.transition(stale).await, Err(UseCaseError::PreconditionFailed { .. })));
    let refused = desk.transition(Ask { if_match: IfMatch::Version(1), ..hopeless(case) }).await.unwrap_err();
    assert!(matches!(refused, UseCaseError::Refused { refusal: Refusal::WrongState { .. }, .. }), "{refused}");
    let unreadable = Ask { if_match: IfMatch::Version(1), command: Command::AddNote, ..hopeless(case) };
    let unreadable = Ask { claim: Some(claim("another", 1)), ..unreadable };
    assert!(matches!(desk.transition(unreadable).await, Err(UseCaseError::Invalid(errors)) if errors == mistakes()));
}

#[tokio::test]
async fn a_role_that_may_not_in_this_state_is_told_before_its_input_is_read() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.transition(ask(case, Command::Submit, "submit")).await.unwrap();
    let escalate = Ask { if_match: IfMatch::Version(2), ..ask(case, Command::Escalate, "escalate") };
    desk.transition(escalate).await.unwrap();
    let assign = ask(case, Command::Assign, "assign");
    let denied =
        Ask { caller: caller(2, &[Role::Caseworker]), if_match: IfMatch::Version(3), input: Err(mistakes()), ..assign };
    let denied = desk.transition(denied).await.unwrap_err();
    assert!(matches!(denied, UseCaseError::Refused { refusal: Refusal::WrongRole { .. }, .. }), "{denied}");
}

#[tokio::test]
async fn replay_comes_before_the_precondition_or_an_honest_retry_would_fail() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    for if_match in [IfMatch::Version(1), IfMatch::Absent, IfMatch::Foreign] {
        assert!(desk.transition(Ask { if_match, ..ask(case, Command::Submit, "k") }).await.unwrap().replayed);
    }
}

#[tokio::test]
async fn authorization_comes_before_replay_or_a_revoked_caller_would_read_a_stored_body() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    // Sight was lost.
    let demoted = Ask { caller: caller(3, &[Role::Caseworker]), ..ask(case, Command::AddNote, "k") };
    assert!(matches!(desk.transition(demoted).await, Err(UseCaseError::NotFound("case"))));
    // Every role that may give the command was lost.
    let demoted = Ask { caller: caller(3, &[Role::Auditor]), ..ask(case, Command::AddNote, "k") };
    by_role(desk.transition(demoted).await.unwrap_err());
    // The credential was narrowed.
    let narrowed = Ask { caller: without_scope(supervisor()), ..ask(case, Command::AddNote, "k") };
    assert!(matches!(desk.transition(narrowed).await, Err(UseCaseError::MissingScope(_))));
}

#[tokio::test]
async fn creation_is_authorized_before_its_key_is_looked_up_and_before_its_fields_are_judged() {
    let desk = Desk::new();
    desk.create(&reporter(), Some(&claim("k", 1)), Ok(new_case("R-1"))).await.unwrap();
    let demoted = caller(1, &[Role::Auditor]);
    let replay = desk.create(&demoted, Some(&claim("k", 1)), Ok(new_case("R-1"))).await;
    assert!(matches!(replay, Err(UseCaseError::Forbidden(_))), "{replay:?}");
    let invalid = desk.create(&demoted, Some(&claim("new", 1)), Err(mistakes())).await;
    assert!(matches!(invalid, Err(UseCaseError::Forbidden(_))), "{invalid:?}");
    let scope = desk.create(&without_scope(reporter()), None, Err(mistakes())).await;
    assert!(matches!(scope, Err(UseCaseError::MissingScope(_))));
    let key = desk.create(&reporter(), None, Err(mistakes())).await;
    assert!(matches!(key, Err(UseCaseError::KeyMissing)));
    let fields = desk.create(&reporter(), Some(&claim("new", 1)), Err(mistakes())).await;
    assert!(matches!(fields, Err(UseCaseError::Invalid(errors)) if errors == mistakes()));
}

fn change(caller: &Caller, case_id: CaseId) -> ChangeRequest<'_> {
    let (claim, presenter) = (None, &PlainPresenter);
    ChangeRequest {
        caller,
        case_id,
        if_match: IfMatch::Version(1),
        claim,
        dry_run: false,
        presenter,
        action: "case.update",
        completes: None,
    }
}

#[tokio::test]
async fn an_edit_is_authorized_and_held_to_the_state_before_its_fields_are_judged() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let stranger = caller(9, &[Role::Reporter]);
    let denied = edit_case(&desk.writing, change(&stranger, case), &Err(mistakes())).await.unwrap_err();
    assert!(matches!(&denied, UseCaseError::Refused { refusal, .. } if refusal.is_by_role()), "{denied}");
    let boss = supervisor();
    let invalid = edit_case(&desk.writing, change(&boss, case), &Err(mistakes())).await;
    assert!(matches!(invalid, Err(UseCaseError::Invalid(_))));
    desk.transition(ask(case, Command::Withdraw, "w")).await.unwrap();
    // Supervision may still set a legal hold there, so only others are told that nothing can be changed.
    let worker = caller(2, &[Role::Caseworker]);
    let request = ChangeRequest { if_match: IfMatch::Version(2), ..change(&worker, case) };
    let refused = edit_case(&desk.writing, request, &Err(mistakes())).await.unwrap_err();
    assert!(matches!(&refused, UseCaseError::Refused { refusal, .. } if refusal.rule() == "state"), "{refused}");
}

#[tokio::test]
async fn an_unreadable_command_is_checked_like_any_other_before_its_mistakes_are_told() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let (boss, key) = (supervisor(), claim("k", 1));
    let with =
        |caller, case, if_match, claim, dry_run| ChangeRequest { if_match, claim, dry_run, ..change(caller, case) };
    let narrowed = without_scope(supervisor());
    let request = with(&narrowed, case, IfMatch::Version(1), Some(&key), false);
    assert!(matches!(refuse_unreadable(&desk.writing, request, mistakes()).await, Err(UseCaseError::MissingScope(_))));
    let request = with(&boss, case, IfMatch::Version(1), None, false);
    assert!(matches!(refuse_unreadable(&desk.writing, request, mistakes()).await, Err(UseCaseError::KeyMissing)));
    let request = with(&boss, CaseId(Uuid::nil()), IfMatch::Version(1), Some(&key), false);
    assert!(matches!(refuse_unreadable(&desk.writing, request, mistakes()).await, Err(UseCaseError::NotFound(_))));
    let request = with(&boss, case, IfMatch::Absent, Some(&key), false);
    let answer = refuse_unreadable(&desk.writing, request, mistakes()).await;
    assert!(matches!(answer, Err(UseCaseError::PreconditionRequired)));
    for (claim, dry_run) in [(Some(&key), false), (None, true)] {
        let request = with(&boss, case, IfMatch::Version(1), claim, dry_run);
        let answer = refuse_unreadable(&desk.writing, request, mistakes()).await;
        assert!(matches!(answer, Err(UseCaseError::Invalid(errors)) if errors == mistakes()));
    }
}

#[tokio::test]
async fn a_guard_on_the_input_is_judged_last() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.title.clear()).await;
    let nothing = || Ok(CommandInput::default());
    let answer = desk.transition(Ask { input: nothing(), ..ask(case, Command::Submit, "a") }).await.unwrap_err();
    assert_eq!(answer.guard(), Some(Guard::Complete));
    let answer = desk.transition(Ask { input: nothing(), ..ask(case, Command::AddNote, "b") }).await.unwrap_err();
    assert_eq!(answer.guard(), Some(Guard::NoteGiven));
}
