//! Many at once: one effect per key, one winner per version, a chain without gaps.

use std::collections::BTreeSet;
use std::sync::Arc;

use docket_domain::principal::Role;
use futures::future::join_all;
use http::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, complete_case};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_fifty_times_at_once_has_one_effect() {
    let app = Arc::new(TestApp::start().await);
    let answers = join_all((0..50).map(|_| {
        let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
        Answer::of(request.header("idempotency-key", "same").json(&complete_case()))
    }))
    .await;
    let created: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert!(!created.is_empty());
    assert!(created.iter().all(|answer| answer.text == created[0].text), "one body for all");
    assert_eq!(created.iter().filter(|answer| answer.header("idempotent-replayed").is_empty()).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "idempotency-request-in-flight");
    }
    let cases: i64 =
        sqlx::query_scalar("SELECT count(*) FROM docket.cases").fetch_one(&app.superuser().await).await.unwrap();
    assert_eq!(cases, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_transitions_of_one_version_one_wins_and_the_others_are_stale() {
    let app = Arc::new(TestApp::start().await);
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let body = json!({"command": "add_note", "body": "first"});
    let answers = join_all((0..50).map(|_| app.command_at(&id, Role::Caseworker, &body, "\"v1\""))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.assert_problem(412, "precondition-failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_and_recorded_reads_race_on_one_chain_without_gaps() {
    let app = Arc::new(TestApp::start().await);
    let mut restricted = complete_case();
    restricted["confidentiality"] = json!("restricted");
    let case = app.post("/v1/cases", Role::Reporter, &restricted).await.json();
    let id = case["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}");
    let (close, note) = (json!({"command": "close"}), json!({"command": "add_note", "body": "n"}));
    let reads = join_all((0..40).map(|_| app.get(&path, Role::Auditor)));
    let hidden = join_all((0..40).map(|_| app.get(&path, Role::Caseworker)));
    let refusals = join_all((0..40).map(|_| app.command_at(&id, Role::Supervisor, &close, "\"v1\"")));
    let notes = join_all((0..3).map(|_| app.command_at(&id, Role::Supervisor, &note, "\"v1\"")));
    let (reads, hidden, refusals, notes) = tokio::join!(reads, hidden, refusals, notes);
    let statuses = |answers: &[Answer]| answers.iter().map(|answer| answer.status).collect::<BTreeSet<_>>();
    // However many there are, everybody gets a turn: none is told to come again.
    assert_eq!((statuses(&reads), statuses(&hidden)), ([200].into(), [404].into()));
    assert!(statuses(&refusals).is_subset(&[409, 412].into()), "{refusals:?}");
    assert_eq!(notes.iter().filter(|answer| answer.status == 200).count(), 1, "{notes:?}");
    let (gapless, head): (bool, bool) = sqlx::query_as(
        "SELECT count(*) = max(e.seq), max(e.seq) = max(c.audit_seq) FROM docket.audit_events e
         JOIN docket.cases c ON c.id = e.chain_id",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap();
    assert!(gapless && head);
}
