//! The change feed: nothing is skipped, nothing comes out of order, nothing is shown to whoever may not see its case.

use std::collections::BTreeMap;
use std::time::Duration;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Answer, TestApp, complete_case};

/// Reads on to the present end; the events, and the cursor to poll with.
async fn drain(app: &TestApp, role: Role, query: &str, mut cursor: Option<String>) -> (Vec<Value>, String) {
    let mut events = Vec::new();
    loop {
        let after = cursor.map(|cursor| format!("&after={cursor}")).unwrap_or_default();
        let answer = app.get(&format!("/v1/events?{query}{after}"), role).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        events.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return (events, page["resume"].as_str().unwrap().to_owned()),
        }
    }
}

/// Polls until `count` events came or five seconds went by (a foreign transaction may hold the horizon for a moment).
async fn poll(app: &TestApp, role: Role, query: &str, count: usize) -> (Vec<Value>, String) {
    let (mut events, mut resume) = drain(app, role, query, None).await;
    for _ in 0..250 {
        if events.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let (more, cursor) = drain(app, role, query, Some(resume)).await;
        events.extend(more);
        resume = cursor;
    }
    (events, resume)
}

#[tokio::test]
async fn events_are_cloud_events_in_order_of_commit() {
    let app = TestApp::start().await;
    let case = app.draft().await;
    let id = case["id"].as_str().unwrap();
    app.command(id, Role::Reporter, &json!({"command": "add_note", "body": "x"})).await;
    app.command(id, Role::Reporter, &json!({"command": "submit"})).await;
    let (events, resume) = poll(&app, Role::Supervisor, "limit=2", 3).await;
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["docket.case.created", "docket.case.note_added", "docket.case.submitted"]);
    let first = &events[0];
    assert_eq!(
        (&first["specversion"], &first["subject"], &first["sequence"]),
        (&json!("1.0"), &json!(id), &json!("1"))
    );
    assert!(first["source"].as_str().unwrap().starts_with("urn:docket:tenant:"));
    assert_eq!((&first["datacontenttype"], &first["data"]["to_state"]), (&json!("application/json"), &json!("draft")));
    assert!(first["traceparent"].as_str().unwrap().starts_with("00-"));
    assert!(first["data"]["title"].is_null() && first["data"]["narrative"].is_null(), "thin: no prose");
    assert_eq!(drain(&app, Role::Supervisor, "limit=2", Some(resume)).await.0, Vec::<Value>::new());
    let (some, _) = poll(&app, Role::Supervisor, "type=docket.case.submitted,case.created", 2).await;
    assert_eq!(some.len(), 2);
    app.get("/v1/events?type=case.exploded", Role::Supervisor).await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn the_feed_shows_only_events_of_cases_that_the_reader_may_see() {
    let app = TestApp::start().await;
    for confidentiality in ["public", "internal", "restricted"] {
        let mut case = complete_case();
        case["confidentiality"] = json!(confidentiality);
        assert_eq!(app.post("/v1/cases", Role::Supervisor, &case).await.status, 201);
    }
    let gone = app.draft().await["id"].as_str().unwrap().to_owned();
    let request = app.request(Method::DELETE, &format!("/v1/cases/{gone}"), app.key(Role::Supervisor));
    assert_eq!(Answer::of(request.header("if-match", "\"v1\"")).await.status, 200);
    poll(&app, Role::Auditor, "", 5).await;
    for (role, count) in
        [(Role::Auditor, 5), (Role::Supervisor, 5), (Role::Caseworker, 2), (Role::Admin, 2), (Role::Reporter, 1)]
    {
        assert_eq!(drain(&app, role, "", None).await.0.len(), count, "{role}");
    }
    let foreign = &app.tenants[1].keys[&Role::Auditor];
    let page = Answer::of(app.request(Method::GET, "/v1/events", foreign)).await.json();
    assert_eq!(page["items"], json!([]));
    let resume = drain(&app, Role::Auditor, "", None).await.1;
    let stolen = app.request(Method::GET, &format!("/v1/events?after={resume}"), foreign);
    Answer::of(stolen).await.assert_problem(400, "invalid-cursor");
    app.get(&format!("/v1/events?type=case.created&after={resume}"), Role::Auditor)
        .await
        .assert_problem(400, "invalid-cursor");
}

/// Writes one event of a case in a transaction that commits late.
async fn late_event(pool: &PgPool, tenant: Uuid, case: Uuid, sequence: i64, delay: Duration) -> Uuid {
    let id = Uuid::now_v7();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::query("SELECT set_config('docket.tenant', $1, true)")
        .bind(tenant.to_string())
        .execute(&mut *transaction)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at)
         VALUES ($1, $2, $3, $4, 'case.updated', $2, '{}', now())",
    )
    .bind(tenant)
    .bind(id)
    .bind(case)
    .bind(sequence)
    .execute(&mut *transaction)
    .await
    .unwrap();
    tokio::time::sleep(delay).await;
    transaction.commit().await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_writers_that_commit_late_and_a_polling_reader_that_misses_none() {
    const WRITERS: usize = 200;
    const EACH: i64 = 4;
    let app = TestApp::start().await;
    let tenant: Uuid = sqlx::query_scalar("SELECT id FROM docket.tenants WHERE name = 'alpha'")
        .fetch_one(&app.superuser().await)
        .await
        .unwrap();
    let options = app.pool.connect_options();
    let writers =
        sqlx::postgres::PgPoolOptions::new().max_connections(60).connect_with((*options).clone()).await.unwrap();
    let writing = futures::future::join_all((0..WRITERS).map(|writer| {
        let writers = &writers;
        async move {
            let case = Uuid::now_v7(); // events of cases that are gone: auditors see them
            let mut ids = Vec::new();
            for sequence in 1..=EACH {
                let delay =
                    Duration::from_millis(((writer as u64 * 7_919 + sequence.unsigned_abs() * 104_729) % 37) * 2);
                ids.push(late_event(writers, tenant, case, sequence, delay).await);
            }
            (case, ids)
        }
    }));
    let total = WRITERS * usize::try_from(EACH).unwrap();
    let (written, (events, _)) = tokio::join!(writing, async {
        let (mut events, mut resume) = drain(&app, Role::Auditor, "limit=50", None).await;
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while events.len() < total && std::time::Instant::now() < deadline {
            let (more, cursor) = drain(&app, Role::Auditor, "limit=50", Some(resume)).await;
            events.extend(more);
            resume = cursor;
        }
        (events, resume)
    });
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        seen.entry(event["subject"].as_str().unwrap().to_owned())
            .or_default()
            .push(event["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(events.len(), total, "none missed, none doubled");
    for (case, ids) in written {
        let ids: Vec<_> = ids.iter().map(Uuid::to_string).collect();
        assert_eq!(seen[&case.to_string()], ids, "in the case's own order");
    }
}
