//! Each row of the promise about If-Match.

use docket::application::cases::delete_case::delete_case;
use docket::application::cases::edit_case::edit_case;
use docket::application::cases::unit_of_work::ChangeRequest;
use docket::application::error::UseCaseError;
use docket::application::request::{Caller, IfMatch};
use docket_domain::case::{CaseChanges, Command};
use docket_domain::ids::CaseId;

use super::desk::{Ask, Desk, ask, supervisor};
use super::fakes::PlainPresenter;

#[tokio::test]
async fn who_does_not_say_which_version_it_saw_is_asked_to() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let answer = desk.transition(Ask { if_match: IfMatch::Absent, ..ask(case, Command::Submit, "k") }).await;
    assert!(matches!(answer, Err(UseCaseError::PreconditionRequired)));
}

#[tokio::test]
async fn who_saw_another_version_learns_the_current_one() {
    let desk = Desk::new();
    let case = desk.draft().await;
    for stale in [IfMatch::Version(0), IfMatch::Version(2), IfMatch::Foreign] {
        let answer = desk.transition(Ask { if_match: stale, ..ask(case, Command::Submit, "k") }).await;
        assert!(matches!(answer, Err(UseCaseError::PreconditionFailed { current_version: 1 })), "{stale:?}");
    }
}

#[tokio::test]
async fn who_saw_the_current_version_is_served_and_the_next_one_is_one_higher() {
    let desk = Desk::new();
    let case = desk.draft().await;
    for version in 1..4 {
        let key = format!("k{version}");
        let ask = Ask { if_match: IfMatch::Version(version), ..ask(case, Command::AddNote, &key) };
        let written = desk.transition(ask).await.unwrap();
        assert_eq!(written.rendered.etag, Some(format!("\"v{}\"", version + 1)));
    }
}

fn request(caller: &Caller, case_id: CaseId, if_match: IfMatch) -> ChangeRequest<'_> {
    let (claim, presenter) = (None, &PlainPresenter);
    ChangeRequest {
        caller,
        case_id,
        if_match,
        claim,
        dry_run: false,
        presenter,
        action: "case.update",
        completes: None,
    }
}

#[tokio::test]
async fn edits_and_deletions_hold_to_the_version_too_and_need_no_key() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let boss = supervisor();
    let changes = Ok(CaseChanges { title: Some("New".to_owned()), ..CaseChanges::default() });
    for (if_match, stale) in [(IfMatch::Absent, false), (IfMatch::Version(7), true)] {
        let edited = edit_case(&desk.writing, request(&boss, case, if_match), &changes).await;
        let deleted = delete_case(&desk.writing, request(&boss, case, if_match)).await;
        for answer in [edited, deleted] {
            match answer {
                Err(UseCaseError::PreconditionRequired) => assert!(!stale),
                Err(UseCaseError::PreconditionFailed { current_version: 1 }) => assert!(stale),
                other => panic!("{other:?}"),
            }
        }
    }
    edit_case(&desk.writing, request(&boss, case, IfMatch::Version(1)), &changes).await.unwrap();
    assert_eq!((desk.case(case).title.as_str(), desk.case(case).version), ("New", 2));
    delete_case(&desk.writing, request(&boss, case, IfMatch::Version(2))).await.unwrap();
    let gone = desk.transition(ask(case, Command::Submit, "k")).await;
    assert!(matches!(gone, Err(UseCaseError::NotFound("case"))));
    assert_eq!(desk.store.contents().audit.len(), 3, "the trail stays");
}
