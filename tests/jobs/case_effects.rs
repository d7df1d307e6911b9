//! Jobs that commit with their cause, and causes that commit with their job: all of it or nothing.

use docket::adapters::postgres::{Lane, PgCaseStore};
use docket::application::cases::unit_of_work::plain;
use docket::application::cases::write_draft::{self, Act};
use docket::application::ports::case_store::{CaseStore, CaseWrite, Commit, RowChange};
use docket::application::ports::job_store::NewJob;
use docket::application::request::Caller;
use docket_domain::case::{Confidentiality, EventType, NewCase, Severity, fields};
use docket_domain::ids::CaseId;
use docket_domain::job::{JobLease, JobState};
use docket_domain::principal::Actor;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bench::Bench;

/// The write of a new case by docket itself.
fn new_case(bench: &Bench, completes: Option<JobLease>, enqueues: Vec<NewJob>) -> CaseWrite {
    let caller = Caller {
        actor: Actor::system(bench.tenant),
        request_id: String::new(),
        trace_id: String::new(),
        traceparent: None,
    };
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let new = NewCase {
        reference: Uuid::now_v7().to_string(),
        title: "A case that a job opens".to_owned(),
        narrative: String::new(),
        respondent: String::new(),
        case_type: String::new(),
        severity: Severity::Low,
        confidentiality: Confidentiality::Internal,
        attributes: serde_json::Map::new(),
    };
    let case = fields::create(CaseId(Uuid::now_v7()), new, &caller.actor, now).unwrap();
    let mut decision = plain(RowChange::Insert, case, "case.create".to_owned(), EventType::CaseCreated, None);
    decision.enqueues = enqueues;
    let (key_expires_at, event_id) = (now, Uuid::now_v7());
    let act = Act { caller: &caller, claim: None, rendered: None, now, key_expires_at, event_id, completes };
    write_draft::accepted(&act, None, decision).unwrap()
}

async fn cases(bench: &Bench) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM docket.cases").fetch_one(&bench.owner().await).await.unwrap()
}

#[tokio::test]
async fn a_job_exists_if_and_only_if_its_cause_was_committed() {
    let bench = Bench::new().await;
    let store = PgCaseStore::new(bench.pool.clone(), Lane::beside(&bench.pool));
    let (caused, never) = (bench.job("probe"), bench.job("probe"));
    let write = new_case(&bench, None, vec![caused.clone()]);
    assert_eq!(store.commit(&write).await.unwrap(), Commit::Done);
    assert_eq!(bench.state(caused.id).await, Some(JobState::Queued));
    let mut duplicate = new_case(&bench, None, vec![never.clone()]);
    duplicate.case.reference.clone_from(&write.case.reference);
    assert_eq!(store.commit(&duplicate).await.unwrap(), Commit::ReferenceTaken);
    assert_eq!((bench.state(never.id).await, cases(&bench).await), (None, 1));
}

#[tokio::test]
async fn a_job_ends_with_its_effect_and_a_worker_that_lost_it_has_no_effect() {
    let bench = Bench::new().await;
    let store = PgCaseStore::new(bench.pool.clone(), Lane::beside(&bench.pool));
    bench.enqueue(bench.job("probe")).await;
    let worker = bench.worker().await;
    let lease = bench.claim(worker, "probe", 1).await.remove(0).lease;
    let late = JobLease { token: lease.token - 1, ..lease };
    assert_eq!(store.commit(&new_case(&bench, Some(late), vec![])).await.unwrap(), Commit::LeaseLost);
    assert_eq!((bench.state(lease.job_id).await, cases(&bench).await), (Some(JobState::Running), 0));
    assert_eq!(store.commit(&new_case(&bench, Some(lease), vec![bench.job("next")])).await.unwrap(), Commit::Done);
    assert_eq!((bench.state(lease.job_id).await, cases(&bench).await), (None, 1));
    assert_eq!(store.commit(&new_case(&bench, Some(lease), vec![])).await.unwrap(), Commit::LeaseLost, "once");
    assert_eq!(cases(&bench).await, 1);
}
