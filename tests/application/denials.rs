//! Whoever may not is refused before a stored answer is read, and the refusal stands on the case's chain.

use docket::application::cases::delete_case::delete_case;
use docket::application::cases::edit_case::edit_case;
use docket::application::cases::unit_of_work::ChangeRequest;
use docket::application::error::UseCaseError;
use docket::application::request::{Caller, Claim, IfMatch};
use docket_domain::audit::Outcome;
use docket_domain::case::{CaseChanges, Command, Confidentiality};
use docket_domain::ids::CaseId;
use docket_domain::principal::{Role, Scope};
use uuid::Uuid;

use super::desk::{Ask, Desk, ask, caller, caseworker, claim, reporter, supervisor};
use super::fakes::PlainPresenter;

fn request<'a>(
    caller: &'a Caller,
    case_id: CaseId,
    claim: Option<&'a Claim>,
    action: &'a str,
    version: u64,
) -> ChangeRequest<'a> {
    let presenter = &PlainPresenter;
    ChangeRequest {
        caller,
        case_id,
        if_match: IfMatch::Version(version),
        claim,
        dry_run: false,
        presenter,
        action,
        completes: None,
    }
}

/// The last record must say that this was denied; what it gives as the reason.
fn denied(desk: &Desk, action: &str) -> String {
    let contents = desk.store.contents();
    let record = contents.audit.last().unwrap();
    assert_eq!((record.action.as_str(), record.outcome, record.http_status), (action, Outcome::Denied, Some(403)));
    assert!(record.idempotency_key_hash.is_none(), "nothing is stored under the key");
    record.guard_results.as_ref().unwrap()[0]["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_role_that_no_state_allows_is_recorded_as_denied_whatever_else_is_wrong() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let auditor = || caller(9, &[Role::Auditor]);
    let (records, events, answers, rows) = desk.written();
    for if_match in [IfMatch::Absent, IfMatch::Version(9), IfMatch::Version(1)] {
        let error = desk.transition(Ask { caller: auditor(), if_match, ..ask(case, Command::Close, "k") }).await;
        assert_eq!(error.unwrap_err().to_string(), "`close` needs one of the roles: caseworker, supervisor");
        assert_eq!(denied(&desk, "case.close"), "`close` needs one of the roles: caseworker, supervisor");
    }
    assert_eq!(desk.written(), (records + 3, events, answers, rows));
    assert_eq!(desk.case(case).version, 1);
    let dry = Ask { caller: auditor(), claim: None, dry_run: true, ..ask(case, Command::Close, "k") };
    desk.transition(dry).await.unwrap_err();
    assert_eq!(desk.written().0, records + 3, "a dry run leaves nothing");
}

#[tokio::test]
async fn a_reporter_on_a_case_of_another_is_denied_before_its_version_is_asked_for() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let stranger = || caller(9, &[Role::Reporter]);
    let withdraw = Ask { caller: stranger(), if_match: IfMatch::Absent, ..ask(case, Command::Withdraw, "k") };
    desk.transition(withdraw).await.unwrap_err();
    assert!(denied(&desk, "case.withdraw").contains("a case it reported itself"));
    let submit = Ask { caller: stranger(), ..ask(case, Command::Submit, "k") };
    desk.transition(submit).await.unwrap_err();
    denied(&desk, "case.submit");
}

#[tokio::test]
async fn edits_and_deletions_by_whoever_may_not_are_recorded_as_denied() {
    let desk = Desk::new();
    let case = desk.draft().await;
    for stranger in [caller(9, &[Role::Auditor]), caller(9, &[Role::Admin]), caller(9, &[Role::Reporter])] {
        let edit = request(&stranger, case, None, "case.update", 7);
        let error = edit_case(&desk.writing, edit, &Ok(CaseChanges::default())).await.unwrap_err();
        assert_eq!(denied(&desk, "case.update"), error.to_string());
        let error = delete_case(&desk.writing, request(&stranger, case, None, "case.delete", 7)).await.unwrap_err();
        assert_eq!(denied(&desk, "case.delete"), error.to_string());
    }
    let worker = caseworker();
    delete_case(&desk.writing, request(&worker, case, None, "case.delete", 7)).await.unwrap_err();
    denied(&desk, "case.delete");
}

#[tokio::test]
async fn a_credential_without_the_scope_is_recorded_and_learns_nothing_of_the_case() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    let mut narrow = caller(9, &[Role::Caseworker]);
    narrow.actor.scopes = vec![Scope::CasesRead];
    let hidden = desk.transition(Ask { caller: narrow.clone(), ..ask(case, Command::Submit, "k") }).await.unwrap_err();
    assert_eq!(denied(&desk, "case.submit"), "this credential lacks the scope `cases:write`");
    let records = desk.written().0;
    let missing = desk.transition(Ask { caller: narrow, ..ask(CaseId(Uuid::nil()), Command::Submit, "k") }).await;
    assert_eq!(hidden.to_string(), missing.unwrap_err().to_string());
    assert_eq!(desk.written().0, records, "the missing case has no chain to write on");
}

#[tokio::test]
async fn a_case_that_one_may_not_see_stays_missing_for_a_role_that_may_not() {
    let desk = Desk::new();
    let case = desk.draft_with(|new| new.confidentiality = Confidentiality::Restricted).await;
    let admin = Ask { caller: caller(9, &[Role::Admin]), ..ask(case, Command::Close, "k") };
    assert!(matches!(desk.transition(admin).await, Err(UseCaseError::NotFound("case"))));
    let contents = desk.store.contents();
    let record = contents.audit.last().unwrap();
    assert_eq!((record.outcome, record.http_status), (Outcome::Denied, Some(404)));
}

#[tokio::test]
async fn a_denial_is_recorded_though_the_chain_moves_meanwhile_and_a_retry_after_the_role_is_given_succeeds() {
    let desk = Desk::new();
    let case = desk.draft().await;
    desk.store.stale_commits(2);
    desk.transition(Ask { caller: caller(3, &[Role::Auditor]), ..ask(case, Command::Submit, "k") }).await.unwrap_err();
    denied(&desk, "case.submit");
    assert!(!desk.transition(ask(case, Command::Submit, "k")).await.unwrap().replayed);
}

#[tokio::test]
async fn a_deletion_is_replayed_to_whoever_made_it_and_to_nobody_else() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let (boss, key, other) = (supervisor(), claim("k", 1), claim("k", 2));
    let delete =
        async |caller: &Caller| delete_case(&desk.writing, request(caller, case, Some(&key), "case.delete", 1)).await;
    let first = delete(&boss).await.unwrap();
    let before = desk.written();
    let again = delete(&boss).await.unwrap();
    assert!(!first.replayed && again.replayed && first.rendered == again.rendered);
    // Another principal, another tenant, a lost role, a lost scope, another request under the key, no key, a new key.
    let mut foreign = supervisor();
    foreign.actor.tenant_id = docket_domain::ids::TenantId(Uuid::from_u128(0x7f));
    for stranger in
        [caller(4, &[Role::Supervisor]), foreign, caller(3, &[Role::Auditor]), caller(3, &[Role::Caseworker])]
    {
        let answer = delete(&stranger).await;
        assert!(matches!(answer, Err(UseCaseError::NotFound("case"))), "{answer:?}");
    }
    let mut narrow = supervisor();
    narrow.actor.scopes = vec![Scope::CasesRead];
    assert!(matches!(delete(&narrow).await, Err(UseCaseError::MissingScope(_))));
    for key in [Some(&other), None, Some(&claim("new", 1))] {
        let answer = delete_case(&desk.writing, request(&boss, case, key, "case.delete", 1)).await;
        assert!(matches!(answer, Err(UseCaseError::NotFound("case"))), "{answer:?}");
    }
    assert_eq!(desk.written(), before, "a replay writes nothing");
    desk.clock.advance(time::Duration::hours(25));
    let expired = delete(&boss).await;
    assert!(matches!(expired, Err(UseCaseError::NotFound("case"))), "the answer has expired");
}

#[tokio::test]
async fn a_reporter_gets_the_stored_answer_of_deleting_its_own_draft() {
    let desk = Desk::new();
    let case = desk.draft().await;
    let (me, key) = (reporter(), claim("k", 1));
    let delete = || request(&me, case, Some(&key), "case.delete", 1);
    delete_case(&desk.writing, delete()).await.unwrap();
    assert!(delete_case(&desk.writing, delete()).await.unwrap().replayed);
}
