//! What happens when the case moves between the load and the commit.

use docket::application::cases::read_case::read_case;
use docket::application::error::UseCaseError;
use docket_domain::case::{Command, Confidentiality};
use docket_domain::principal::Role;

use super::desk::{Ask, Desk, TENANT, ask, caller, claim, new_case, reporter, supervisor};

/// How often a write is tried.
const ATTEMPTS: u32 = 8;

#[tokio::test]
async fn a_write_begins_again_up_to_seven_times() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.store.contents().commits;
    desk.store.stale_commits(ATTEMPTS - 1);
    desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    assert_eq!(desk.store.contents().commits, before + ATTEMPTS);
}

#[tokio::test]
async fn after_eight_stale_commits_the_client_is_asked_to_retry_and_nothing_is_left_behind() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let before = desk.written();
    desk.store.stale_commits(ATTEMPTS);
    let change = desk.transition(ask(case, Command::Submit, "k")).await;
    assert!(matches!(change, Err(UseCaseError::Contention)));
    desk.store.stale_commits(ATTEMPTS);
    let refusal = desk.transition(ask(case, Command::Close, "k")).await;
    assert!(matches!(refusal, Err(UseCaseError::Contention)), "a refusal that cannot be recorded is not given");
    desk.store.stale_commits(ATTEMPTS);
    let creation = desk.create(&reporter(), Some(&claim("new", 1)), Ok(new_case("R-9"))).await;
    assert!(matches!(creation, Err(UseCaseError::Contention)));
    assert_eq!(desk.written(), before);
}

#[tokio::test]
async fn a_client_that_lost_the_race_learns_that_its_view_is_stale_now() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.store.meanwhile(move |contents| {
        contents.cases.get_mut(&(TENANT, case)).unwrap().case.version = 2;
    });
    let lost = desk.transition(ask(case, Command::Submit, "k")).await;
    assert!(matches!(lost, Err(UseCaseError::PreconditionFailed { current_version: 2 })));
}

#[tokio::test]
async fn a_refusal_is_judged_again_when_the_case_moved_while_it_was_recorded() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.narrative.clear()).await;
    desk.store.stale_commits(1);
    let refused = desk.transition(ask(case, Command::Submit, "k")).await.unwrap_err();
    assert!(matches!(refused, UseCaseError::Refused { rendered: Some(_), .. }));
    assert_eq!(desk.store.contents().audit.len(), 2, "recorded once");
}

#[tokio::test]
async fn a_look_is_recorded_on_the_fresh_chain_when_the_case_moved() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    desk.store.stale_commits(2);
    let seen = read_case(desk.store.as_ref(), &desk.writing, &supervisor(), case, "case.read").await.unwrap();
    assert_eq!((seen.id, desk.store.contents().audit.len()), (case, 2));
    desk.store.stale_commits(ATTEMPTS);
    let given_up = read_case(desk.store.as_ref(), &desk.writing, &supervisor(), case, "case.read").await;
    assert!(matches!(given_up, Err(UseCaseError::Contention)));
}

#[tokio::test]
async fn a_look_at_a_case_that_is_deleted_meanwhile_is_let_go() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    desk.store.meanwhile(move |contents| {
        contents.cases.remove(&(TENANT, case));
    });
    let stranger = Ask { caller: caller(9, &[Role::Caseworker]), ..ask(case, Command::Submit, "k") };
    assert!(matches!(desk.transition(stranger).await, Err(UseCaseError::NotFound("case"))));
}

#[tokio::test]
async fn a_link_needs_its_target_and_is_made_once() {
    let desk = Desk::new();
    let (from, to) = (desk.draft().await, desk.draft().await);
    let link = |target, version, key| {
        let mut link = ask(from, Command::Link, key);
        link.if_match = docket::application::request::IfMatch::Version(version);
        if let Ok(input) = &mut link.input {
            input.target_case_id = Some(target);
        }
        link
    };
    let nowhere = docket_domain::ids::CaseId(uuid::Uuid::nil());
    let missing = desk.transition(link(nowhere, 1, "a")).await;
    assert!(matches!(missing, Err(UseCaseError::NotFound("case to link to"))));
    desk.transition(link(to, 1, "b")).await.unwrap();
    let again = desk.transition(link(to, 2, "c")).await.unwrap_err();
    assert_eq!(again.to_string(), "the two cases are linked in this way already");
    assert!(matches!(again, UseCaseError::Duplicate(_)));
}
