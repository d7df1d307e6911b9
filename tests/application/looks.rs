//! Who looks is recorded where it matters: every denied look, and every look at a restricted case.

use docket::application::cases::available_actions::available_actions;
use docket::application::cases::read_case::read_case;
use docket::application::error::UseCaseError;
use docket::application::request::Caller;
use docket_domain::audit::{AuditRecord, ChainFault, ChainHead, Outcome, chain};
use docket_domain::case::{Case, Command, Confidentiality};
use docket_domain::ids::CaseId;
use docket_domain::principal::{Role, Scope};
use uuid::Uuid;

use super::desk::{Ask, Desk, TENANT, ask, caller, reporter, supervisor};

async fn read(desk: &Desk, caller: &Caller, case: CaseId) -> Result<Case, UseCaseError> {
    read_case(desk.store.as_ref(), &desk.writing, caller, case, "case.read").await
}

fn last(desk: &Desk) -> AuditRecord {
    desk.store.contents().audit.last().unwrap().clone()
}

#[tokio::test]
async fn a_look_at_a_public_or_internal_case_leaves_no_record() {
    let desk = Desk::new();
    for level in [Confidentiality::Public, Confidentiality::Internal] {
        let case = desk.draft_with(|new| new.confidentiality = level).await;
        let before = desk.written();
        assert_eq!(read(&desk, &supervisor(), case).await.unwrap().id, case);
        assert_eq!(desk.written(), before);
    }
}

#[tokio::test]
async fn a_look_at_a_restricted_case_is_recorded_without_a_new_version() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    let before = desk.written();
    assert_eq!(read(&desk, &supervisor(), case).await.unwrap().version, 1);
    assert_eq!(desk.written(), (before.0 + 1, before.1, before.2, before.3));
    let record = last(&desk);
    assert_eq!(
        (record.action.as_str(), record.outcome, record.http_status),
        ("case.read", Outcome::Allowed, Some(200))
    );
    assert_eq!(record.actor_id, supervisor().actor.principal_id);
    assert_eq!(desk.case(case).version, 1);
}

#[tokio::test]
async fn a_denied_look_is_recorded_and_answered_like_a_missing_case() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Internal).await;
    let stranger = caller(9, &[Role::Reporter]);
    let before = desk.written();
    let denied = read(&desk, &stranger, case).await.unwrap_err().to_string();
    let missing = read(&desk, &stranger, CaseId(Uuid::nil())).await.unwrap_err().to_string();
    assert_eq!(denied, missing);
    assert_eq!(
        desk.written(),
        (before.0 + 1, before.1, before.2, before.3),
        "the missing case has no chain to write on"
    );
    let record = last(&desk);
    assert_eq!((record.outcome, record.http_status, record.case_id), (Outcome::Denied, Some(404), Some(case)));
    // A command on a hidden case is a denied look, too.
    let command = Ask { caller: stranger, ..ask(case, Command::Submit, "k") };
    assert!(matches!(desk.transition(command).await, Err(UseCaseError::NotFound("case"))));
    let record = last(&desk);
    assert_eq!(
        (record.action.as_str(), record.outcome, record.http_status),
        ("case.submit", Outcome::Denied, Some(404))
    );
    assert!(record.idempotency_key_hash.is_none(), "nothing is stored under the key");
}

#[tokio::test]
async fn looks_and_changes_make_one_chain() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    read(&desk, &supervisor(), case).await.unwrap();
    read(&desk, &caller(9, &[Role::Caseworker]), case).await.unwrap_err();
    desk.transition(ask(case, Command::Submit, "k")).await.unwrap();
    desk.transition(ask(case, Command::Close, "c")).await.unwrap_err();
    let contents = desk.store.contents();
    let end = contents.audit.iter().try_fold(ChainHead::EMPTY, |head, record| {
        assert_eq!(record.seq, head.seq + 1);
        let hash = chain::link_hash(&head.hash, &record.canonical().unwrap());
        chain::verify_link(&head, record, head.hash, hash)
    });
    assert_eq!(end, Ok::<_, ChainFault>(contents.cases[&(TENANT, case)].head));
    assert_eq!(contents.audit.len(), 4);
}

#[tokio::test]
async fn looking_needs_the_scope_to_read() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let mut writer = reporter();
    writer.actor.scopes = vec![Scope::CasesWrite];
    assert!(matches!(read(&desk, &writer, case).await, Err(UseCaseError::MissingScope(Scope::CasesRead))));
    let actions = available_actions(desk.store.as_ref(), &desk.writing, &writer, case).await;
    assert!(matches!(actions, Err(UseCaseError::MissingScope(Scope::CasesRead))));
}

#[tokio::test]
async fn the_list_of_actions_is_given_to_whoever_may_see_the_case() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Internal).await;
    let (stored, verdicts) = available_actions(desk.store.as_ref(), &desk.writing, &reporter(), case).await.unwrap();
    assert_eq!((stored.case.id, verdicts.len()), (case, Command::ALL.len()));
    let stranger = caller(9, &[Role::Reporter]);
    let hidden = available_actions(desk.store.as_ref(), &desk.writing, &stranger, case).await;
    assert!(matches!(hidden, Err(UseCaseError::NotFound("case"))));
    let record = last(&desk);
    assert_eq!((record.action.as_str(), record.outcome), ("case.actions", Outcome::Denied));
}
