//! Each row of the promise about Idempotency-Key.

use docket::application::error::{Invalid, UseCaseError};
use docket::application::request::{IfMatch, Rendered};
use docket_domain::audit::Outcome as Recorded;
use docket_domain::case::{Case, Command, CommandInput, Guard, State};
use docket_domain::ids::PrincipalId;
use docket_domain::principal::Role;
use time::Duration;
use uuid::Uuid;

use super::desk::{Ask, Desk, TENANT, ask, caller, caseworker, claim, new_case, reporter, supervisor};
use super::fakes::KeptAnswer;

fn same_bytes(first: &Rendered, second: &Rendered) {
    assert_eq!(first, second, "status, entity tag, location and body");
}

#[tokio::test]
async fn a_write_that_creates_or_transitions_needs_a_key() {
    let desk = Desk::new();
    let missing = desk.create(&reporter(), None, Ok(new_case("R"))).await;
    assert!(matches!(missing, Err(UseCaseError::KeyMissing)));
    let case = desk.draft().await;
    let before = desk.written();
    let missing = desk.transition(Ask { claim: None, ..ask(case, Command::Submit, "k") }).await;
    assert!(matches!(missing, Err(UseCaseError::KeyMissing)));
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_new_key_runs_and_leaves_one_record_one_event_and_one_answer() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    let written = desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    assert!(!written.replayed);
    assert_eq!((desk.case(case).state, desk.case(case).version), (State::Submitted, 2));
    assert_eq!(desk.written(), (before.0 + 1, before.1 + 1, before.2 + 1, before.3));
    let contents = desk.store.contents();
    let record = contents.audit.last().unwrap();
    let hash = claim("k", 1).key.hash();
    assert_eq!((record.idempotency_key_hash.as_ref(), record.http_status), (Some(&hash), Some(200)));
    assert_eq!((record.seq, record.outcome), (2, Recorded::Allowed));
}

#[tokio::test]
async fn a_replayed_transition_gives_the_same_bytes_and_writes_nothing() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let first = desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    assert!(first.rendered.location.is_some(), "the answer points to the note");
    let (before, commits) = (desk.written(), desk.store.contents().commits);
    desk.clock.advance(Duration::hours(23));
    let again = desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    assert!(again.replayed);
    same_bytes(&first.rendered, &again.rendered);
    assert_eq!((desk.written(), desk.store.contents().commits), (before, commits));
    assert_eq!(desk.case(case).version, 2);
}

#[tokio::test]
async fn a_replayed_creation_gives_the_same_bytes_and_creates_nothing() {
    let desk = Desk::new();
    let first = desk.create(&reporter(), Some(&claim("k", 1)), Ok(new_case(""))).await.unwrap();
    let again = desk.create(&reporter(), Some(&claim("k", 1)), Ok(new_case(""))).await.unwrap();
    assert!(!first.replayed && again.replayed);
    same_bytes(&first.rendered, &again.rendered);
    assert_eq!(desk.store.contents().cases.len(), 1);
}

#[tokio::test]
async fn a_key_used_for_another_request_is_told_so() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    let before = desk.written();
    let other = Ask { claim: Some(claim("k", 2)), if_match: IfMatch::Version(2), ..ask(case, Command::AddNote, "k") };
    assert!(matches!(desk.transition(other).await, Err(UseCaseError::KeyReused)));
    let other = desk.create(&supervisor(), Some(&claim("k", 3)), Ok(new_case("R-9"))).await;
    assert!(matches!(other, Err(UseCaseError::KeyReused)));
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_key_belongs_to_the_principal_that_sent_it() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    let other = Ask { caller: caseworker(), if_match: IfMatch::Version(2), ..ask(case, Command::AddNote, "k") };
    assert!(!desk.transition(other).await.unwrap().replayed);
    assert_eq!(desk.case(case).version, 3);
}

#[tokio::test]
async fn a_key_held_by_a_running_request_is_in_flight() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    desk.store.hold_key(TENANT, supervisor().actor.principal_id, "k");
    let answer = desk.transition(ask(case, Command::AddNote, "k")).await;
    assert!(matches!(answer, Err(UseCaseError::KeyInFlight)));
    let answer = desk.create(&supervisor(), Some(&claim("k", 1)), Ok(new_case("R-9"))).await;
    assert!(matches!(answer, Err(UseCaseError::KeyInFlight)));
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_key_expires_at_the_end_of_its_lifetime_and_counts_as_new() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    desk.clock.advance(Duration::hours(24) - Duration::MICROSECOND);
    assert!(desk.transition(ask(case, Command::AddNote, "k")).await.unwrap().replayed, "the last moment");
    assert_eq!(desk.store.contents().forgotten, 0);
    desk.clock.advance(Duration::MICROSECOND);
    let other = Ask { claim: Some(claim("k", 2)), if_match: IfMatch::Version(2), ..ask(case, Command::AddNote, "k") };
    assert!(!desk.transition(other).await.unwrap().replayed, "another request under the expired key");
    assert_eq!((desk.case(case).version, desk.store.contents().forgotten), (3, 1));
}

#[tokio::test]
async fn an_expired_key_can_create_anew() {
    let desk = Desk::new();
    desk.create(&reporter(), Some(&claim("k", 1)), Ok(new_case("R-1"))).await.unwrap();
    desk.clock.advance(Duration::hours(24));
    let again = desk.create(&reporter(), Some(&claim("k", 1)), Ok(new_case("R-2"))).await.unwrap();
    assert!(!again.replayed);
    assert_eq!(desk.store.contents().cases.len(), 2);
}

#[tokio::test]
async fn a_refusal_by_the_case_is_stored_and_replayed() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.narrative.clear()).await;
    let first = desk.transition(ask(case, Command::Submit, "k")).await.unwrap_err();
    assert_eq!(first.guard(), Some(Guard::Complete));
    let UseCaseError::Refused { rendered: Some(rendered), .. } = first else { panic!("a stored refusal") };
    assert_eq!(rendered.status, 409);
    let before = desk.written();
    let again = desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    assert!(again.replayed);
    same_bytes(&rendered, &again.rendered);
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_refusal_by_the_domain_of_what_was_sent_is_stored_as_422() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let empty = || Ask { input: Ok(CommandInput::default()), ..ask(case, Command::AddNote, "k") };
    let first = desk.transition(empty()).await.unwrap_err();
    assert_eq!(first.guard(), Some(Guard::NoteGiven));
    let again = desk.transition(empty()).await.unwrap();
    assert_eq!((again.replayed, again.rendered.status), (true, 422));
}

#[tokio::test]
async fn a_refusal_leaves_a_record_but_neither_version_nor_event() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    desk.transition(ask(case, Command::Close, "k")).await.unwrap_err();
    assert_eq!(desk.written(), (before.0 + 1, before.1, before.2 + 1, before.3));
    assert_eq!(desk.case(case).version, 1);
    let contents = desk.store.contents();
    let record = contents.audit.last().unwrap();
    assert_eq!(
        (record.action.as_str(), record.outcome, record.http_status),
        ("case.close", Recorded::Conflict, Some(409))
    );
    assert_eq!(record.guard_results.as_ref().unwrap()[0]["guard"], "state");
}

#[tokio::test]
async fn a_denial_by_role_is_recorded_and_never_stored_under_the_key() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    // A stranger who reports may submit its own cases only.
    let stranger = || Ask { caller: caller(9, &[Role::Reporter]), ..ask(case, Command::Submit, "k") };
    let denied = desk.transition(stranger()).await.unwrap_err();
    assert_eq!(denied.guard(), Some(Guard::OwnCaseIfReporter));
    assert_eq!(desk.written(), (before.0 + 1, before.1, before.2, before.3));
    assert_eq!(desk.store.contents().audit.last().unwrap().outcome, Recorded::Denied);
    // The same request under the same key succeeds once the role was given.
    let promoted = Ask { caller: caller(9, &[Role::Caseworker]), ..stranger() };
    assert!(!desk.transition(promoted).await.unwrap().replayed);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_itself_is_never_stored() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    for if_match in [IfMatch::Absent, IfMatch::Foreign, IfMatch::Version(9)] {
        desk.transition(Ask { if_match, ..ask(case, Command::Submit, "k") }).await.unwrap_err();
    }
    let invalid = Err(vec![Invalid::new("/body", "must be text")]);
    let unreadable = desk.transition(Ask { input: invalid, ..ask(case, Command::AddNote, "k") }).await;
    assert!(matches!(unreadable, Err(UseCaseError::Invalid(_))));
    assert_eq!(desk.written(), before);
    let auditor = Ask { caller: caller(9, &[Role::Auditor]), ..ask(case, Command::Submit, "k") };
    desk.transition(auditor).await.unwrap_err();
    assert_eq!(desk.written().2, before.2, "a denial is recorded, and not stored under the key");
    assert!(!desk.transition(ask(case, Command::Submit, "k")).await.unwrap().replayed, "the key is still free");
}

/// The write of the request that was faster, with an answer under the same key.
fn faster(case: &Case, key: &str, fingerprint: u8) -> impl FnOnce(&mut super::fakes::Contents) + Send + use<> {
    let claim = claim(key, fingerprint);
    let rendered =
        Rendered { status: 200, etag: None, location: None, body: format!("faster than {}", case.reference) };
    let scope = (TENANT, PrincipalId(Uuid::from_u128(3)), key.to_owned());
    let expires_at = time::macros::datetime!(2030-01-01 0:00 UTC);
    move |contents| {
        contents.answers.insert(scope, KeptAnswer { fingerprint: claim.fingerprint, rendered, expires_at });
    }
}

#[tokio::test]
async fn a_request_overtaken_by_its_own_retry_gives_the_retrys_answer() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.store.meanwhile(faster(&desk.case(case), "k", 1));
    let written = desk.transition(ask(case, Command::AddNote, "k")).await.unwrap();
    assert_eq!((written.replayed, written.rendered.body.as_str()), (true, "faster than R-0"));
    assert_eq!(desk.case(case).version, 1, "no second effect");
    desk.store.meanwhile(faster(&desk.case(case), "other", 2));
    let overtaken = desk.transition(ask(case, Command::AddNote, "other")).await;
    assert!(matches!(overtaken, Err(UseCaseError::KeyReused)));
}

#[tokio::test]
async fn a_creation_overtaken_by_its_own_retry_is_replayed_although_its_reference_is_taken_now() {
    let desk = Desk::new();
    let race = Desk::new();
    let new = || Ok(new_case("R-1"));
    let first = race.create(&supervisor(), Some(&claim("k", 1)), new()).await.unwrap();
    let (case, answer) = {
        let contents = race.store.contents();
        (contents.cases.values().next().unwrap().clone(), contents.answers.values().next().unwrap().clone())
    };
    desk.store.meanwhile(move |contents| {
        contents.cases.insert((TENANT, case.case.id), case);
        contents.answers.insert((TENANT, supervisor().actor.principal_id, "k".to_owned()), answer);
    });
    let second = desk.create(&supervisor(), Some(&claim("k", 1)), new()).await.unwrap();
    assert!(second.replayed);
    same_bytes(&first.rendered, &second.rendered);
}

#[tokio::test]
async fn a_taken_reference_is_a_duplicate() {
    let desk = Desk::new();
    desk.create(&reporter(), Some(&claim("a", 1)), Ok(new_case("R-1"))).await.unwrap();
    let before = desk.written();
    let taken = desk.create(&reporter(), Some(&claim("b", 2)), Ok(new_case("R-1"))).await.unwrap_err();
    assert!(matches!(&taken, UseCaseError::Duplicate(_)), "{taken}");
    assert_eq!(taken.to_string(), "a case with this reference exists already in your tenant");
    assert_eq!(desk.written(), before);
}
