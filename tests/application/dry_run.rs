//! A dry run gives the verdict of the real thing and writes nothing.

use docket::application::error::UseCaseError;
use docket::application::request::IfMatch;
use docket_domain::audit::Outcome;
use docket_domain::case::{Command, Confidentiality, Guard, State};
use docket_domain::ids::CaseId;
use uuid::Uuid;

use super::desk::{Ask, Desk, ask, caseworker};

fn dry(ask: Ask<'_>) -> Ask<'_> {
    Ask { dry_run: true, claim: None, ..ask }
}

#[tokio::test]
async fn a_dry_run_shows_the_case_as_it_would_be_and_changes_nothing() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let (before, commits) = (desk.written(), desk.store.contents().commits);
    let shown = desk.transition(dry(ask(case, Command::Submit, "k"))).await.unwrap();
    assert!(!shown.replayed && shown.rendered.body.contains("\"state\":\"submitted\""));
    assert_eq!((desk.case(case).state, desk.case(case).version), (State::Draft, 1));
    assert_eq!((desk.written(), desk.store.contents().commits), (before, commits), "not even an attempt to write");
    let done = desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    assert_eq!(shown.rendered, done.rendered, "the real thing says the same");
}

#[tokio::test]
async fn a_refused_dry_run_says_why_and_leaves_no_record() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.respondent.clear()).await;
    let before = desk.written();
    let refused = desk.transition(dry(ask(case, Command::Submit, "k"))).await.unwrap_err();
    assert_eq!(refused.guard(), Some(Guard::Complete));
    assert!(matches!(refused, UseCaseError::Refused { rendered: None, .. }), "nothing was stored");
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_dry_run_holds_to_the_version() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let absent = desk.transition(dry(Ask { if_match: IfMatch::Absent, ..ask(case, Command::Submit, "k") })).await;
    assert!(matches!(absent, Err(UseCaseError::PreconditionRequired)));
    let stale = desk.transition(dry(Ask { if_match: IfMatch::Version(4), ..ask(case, Command::Submit, "k") })).await;
    assert!(matches!(stale, Err(UseCaseError::PreconditionFailed { .. })));
}

#[tokio::test]
async fn a_link_is_judged_by_its_target_alike_when_tried_and_when_carried_out() {
    let desk = Desk::new();
    let (from, to) = (desk.draft().await, desk.draft().await);
    let hidden = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    let link = |target, version, key| {
        let mut link =
            Ask { caller: caseworker(), if_match: IfMatch::Version(version), ..ask(from, Command::Link, key) };
        if let Ok(input) = &mut link.input {
            input.target_case_id = Some(target);
        }
        link
    };
    let before = desk.written();
    for target in [hidden, CaseId(Uuid::nil())] {
        let tried = desk.transition(dry(link(target, 1, "a"))).await;
        assert!(matches!(tried, Err(UseCaseError::NotFound("case to link to"))), "{tried:?}");
        assert_eq!(desk.written(), before, "a dry run leaves no record");
    }
    for target in [hidden, CaseId(Uuid::nil())] {
        let done = desk.transition(link(target, 1, "a")).await;
        assert!(matches!(done, Err(UseCaseError::NotFound("case to link to"))), "{done:?}");
    }
    assert_eq!(desk.written(), (before.0 + 1, before.1, before.2, before.3), "the attempt on the hidden case");
    let record = desk.store.contents().audit.last().cloned().unwrap();
    assert_eq!((record.case_id, record.outcome, record.action.as_str()), (Some(hidden), Outcome::Denied, "case.link"));
    desk.transition(dry(link(to, 1, "b"))).await.unwrap();
    desk.transition(link(to, 1, "b")).await.unwrap();
    let tried = desk.transition(dry(link(to, 2, "c"))).await.unwrap_err();
    assert_eq!(tried.to_string(), desk.transition(link(to, 2, "c")).await.unwrap_err().to_string());
    assert!(matches!(tried, UseCaseError::Duplicate(_)), "{tried}");
}

#[tokio::test]
async fn a_dry_run_with_a_key_does_not_use_the_key_up() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    desk.transition(Ask { dry_run: true, ..ask(case, Command::Submit, "k") }).await.unwrap();
    assert_eq!(desk.written(), before);
    assert!(!desk.transition(ask(case, Command::Submit, "k")).await.unwrap().replayed);
}
