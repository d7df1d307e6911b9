//! The Idempotency-Key table of the API's promises, row by row.

use std::sync::Arc;

use docket::adapters::system::SystemClock;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, complete_case};

async fn create(app: &TestApp, key: &str, body: &Value) -> Answer {
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
    Answer::of(request.header("idempotency-key", key).json(body)).await
}

async fn rows(app: &TestApp) -> (i64, i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM docket.cases), (SELECT count(*) FROM docket.audit_events),
                (SELECT count(*) FROM docket.outbox_events), (SELECT count(*) FROM docket.idempotency_keys)",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_missing_key_is_refused_before_anything_happens() {
    let app = TestApp::start().await;
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter)).json(&complete_case());
    Answer::of(request).await.assert_problem(400, "idempotency-key-missing");
    assert_eq!(rows(&app).await, (0, 0, 0, 0));
}

#[tokio::test]
async fn malformed_and_repeated_keys_are_refused() {
    let app = TestApp::start().await;
    for bad in ["", "with space", &"k".repeat(256)] {
        let answer = create(&app, bad, &complete_case()).await;
        assert_eq!(answer.status, 400, "{bad:?}: {}", answer.text);
    }
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter)).json(&complete_case());
    let twice = request.header("idempotency-key", "one").header("idempotency-key", "two");
    assert_eq!(Answer::of(twice).await.status, 400);
}

#[tokio::test]
async fn a_replayed_request_gets_the_same_bytes_and_writes_nothing() {
    let app = TestApp::start().await;
    let first = create(&app, "key-1", &complete_case()).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(first.header("idempotent-replayed"), "");
    let before = rows(&app).await;
    let replay = create(&app, "key-1", &complete_case()).await;
    assert_eq!((replay.status, &replay.text), (201, &first.text));
    for header in ["etag", "location"] {
        assert_eq!(replay.header(header), first.header(header));
    }
    assert_eq!(replay.header("idempotent-replayed"), "true");
    assert_eq!(rows(&app).await, before);
    assert_eq!(before, (1, 1, 1, 1));
}

#[tokio::test]
async fn members_in_another_order_are_the_same_request_and_another_body_is_not() {
    let app = TestApp::start().await;
    let request = |body: &'static str| {
        let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
        Answer::of(request.header("idempotency-key", "k").header("content-type", "application/json").body(body))
    };
    assert_eq!(request(r#"{"title": "a", "narrative": "b"}"#).await.status, 201);
    assert_eq!(request(r#"{"narrative":"b","title":"a"}"#).await.header("idempotent-replayed"), "true");
    request(r#"{"narrative":"b","title":"c"}"#).await.assert_problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_replay_stands_before_the_precondition() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let send = || {
        let path = format!("/v1/cases/{id}/transitions");
        let request = app.request(Method::POST, &path, app.key(Role::Reporter)).header("if-match", "\"v1\"");
        Answer::of(request.header("idempotency-key", "submit-1").json(&json!({"command": "submit"})))
    };
    let (first, replay) = (send().await, send().await);
    assert_eq!((first.status, replay.status), (200, 200), "{}", replay.text);
    assert_eq!(first.text, replay.text);
}

#[tokio::test]
async fn a_refusal_of_the_domain_is_stored_and_replayed() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let send = || {
        let path = format!("/v1/cases/{id}/transitions");
        let request = app.request(Method::POST, &path, app.key(Role::Supervisor)).header("if-match", "\"v1\"");
        Answer::of(request.header("idempotency-key", "close-1").json(&json!({"command": "close"})))
    };
    let (first, replay) = (send().await, send().await);
    let problem = first.assert_problem(409, "conflict");
    assert_eq!(problem["guards"][0]["guard"], "state");
    assert_eq!(replay.text, first.text);
    assert_eq!(replay.header("idempotent-replayed"), "true");
    assert_eq!(rows(&app).await, (1, 2, 1, 2), "one record of the refusal, no event");
}

#[tokio::test]
async fn a_denial_is_recorded_and_not_stored_under_the_key() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    app.command_at(&id, Role::Reporter, &json!({"command": "close"}), "\"v1\"").await.assert_problem(403, "forbidden");
    assert_eq!(rows(&app).await.3, 1, "only the creation's answer is stored");
}

#[tokio::test]
async fn another_principal_may_use_the_same_key() {
    let app = TestApp::start().await;
    assert_eq!(create(&app, "shared", &complete_case()).await.status, 201);
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Caseworker));
    let other = Answer::of(request.header("idempotency-key", "shared").json(&complete_case())).await;
    assert_eq!((other.status, other.header("idempotent-replayed")), (201, ""));
}

#[tokio::test]
async fn an_expired_key_counts_as_new() {
    let app = TestApp::start().await;
    assert_eq!(create(&app, "old", &complete_case()).await.status, 201);
    let aged = "UPDATE docket.idempotency_keys SET expires_at = now() - interval '1 second'";
    sqlx::query(aged).execute(&app.superuser().await).await.unwrap();
    let again = create(&app, "old", &json!({"title": "another request"})).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (201, ""));
    assert_eq!(rows(&app).await, (2, 2, 2, 1));
}

#[tokio::test]
async fn a_key_lives_as_long_as_promised_at_nodes_whose_clocks_are_wrong_by_an_hour() {
    let app = TestApp::start_with(|config| config.idempotency.ttl_hours = 1).await;
    let owner = app.superuser().await;
    let (mut urls, mut created) = (vec![app.url.clone()], 0);
    for hours in [1, -1] {
        let clock = Arc::new(SystemClock::shifted(time::Duration::hours(hours)));
        urls.push(app.beside_at(Some(clock), |config| config.idempotency.ttl_hours = 1).await);
    }
    let send = async |url: &str, key: &str| {
        let request = app.client.post(format!("{url}/v1/cases")).bearer_auth(app.key(Role::Reporter));
        Answer::of(request.header("idempotency-key", key).json(&complete_case())).await
    };
    for (number, first) in urls.iter().enumerate() {
        let key = format!("first-at-{number}");
        let made = send(first, &key).await;
        assert_eq!((made.status, made.header("idempotent-replayed")), (201, ""), "{}", made.text);
        created += 1;
        let sql = "SELECT extract(epoch FROM expires_at - now())::bigint FROM docket.idempotency_keys WHERE key = $1";
        let left: i64 = sqlx::query_scalar(sql).bind(&key).fetch_one(&owner).await.unwrap();
        assert!((3_000..=3_600).contains(&left), "{key} lives for {left} s by the database's clock");
        // Half an hour later: beyond the end by the clock that is ahead, far from it by the one that is behind.
        let age = "UPDATE docket.idempotency_keys SET expires_at = expires_at - interval '30 minutes' WHERE key = $1";
        sqlx::query(age).bind(&key).execute(&owner).await.unwrap();
        for url in &urls {
            let again = send(url, &key).await;
            assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"), "{key} at {url}");
            assert_eq!(again.text, made.text);
        }
        // And at its end it ends, wherever it is asked for.
        sqlx::query("UPDATE docket.idempotency_keys SET expires_at = now() WHERE key = $1")
            .bind(&key)
            .execute(&owner)
            .await
            .unwrap();
        let late = send(&urls[2], &key).await;
        assert_eq!((late.status, late.header("idempotent-replayed")), (201, ""), "{key}");
        created += 1;
    }
    assert_eq!(rows(&app).await.0, created);
}

#[tokio::test]
async fn a_request_whose_key_is_held_by_a_running_one_is_told_to_wait() {
    let app = TestApp::start().await;
    // A held row lock keeps the first request inside its transaction, with the key's lock in its hands.
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let superuser = app.superuser().await;
    let mut blocker = superuser.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM docket.cases FOR UPDATE").execute(&mut *blocker).await.unwrap();
    let send = || {
        let path = format!("/v1/cases/{id}/transitions");
        let request = app.request(Method::POST, &path, app.key(Role::Reporter)).header("if-match", "\"v1\"");
        Answer::of(request.header("idempotency-key", "slow").json(&json!({"command": "submit"})))
    };
    let first = send();
    tokio::pin!(first);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), &mut first).await;
    assert!(waited.is_err(), "the first request waits for the row");
    let second = send().await;
    second.assert_problem(409, "idempotency-request-in-flight");
    assert_eq!(second.header("retry-after"), "1");
    blocker.rollback().await.unwrap();
    assert_eq!(first.await.status, 200);
    assert_eq!(send().await.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_repeated_deletion_gets_the_first_answer_and_a_stranger_404() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}");
    let delete = |key: &str| {
        let request = app.request(http::Method::DELETE, &path, key).header("idempotency-key", "once");
        Answer::of(request.header("if-match", "\"v1\""))
    };
    let first = delete(app.key(Role::Reporter)).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let again = delete(app.key(Role::Reporter)).await;
    assert_eq!((again.status, &again.text), (200, &first.text), "equal to the byte");
    assert_eq!(again.header("idempotent-replayed"), "true");
    for stranger in [app.key(Role::Supervisor), &app.tenants[1].keys[&Role::Supervisor]] {
        delete(stranger).await.assert_problem(404, "not-found");
    }
    let records: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.audit_events WHERE action = 'case.delete'")
        .fetch_one(&app.superuser().await)
        .await
        .unwrap();
    assert_eq!(records, 1);
}

/// The operations that the document says take a key, in any case or unless they are only tried out.
async fn keyed_operations(app: &TestApp) -> Vec<(Method, String, bool)> {
    let document = Answer::of(app.client.get(format!("{}/openapi.json", app.url))).await.json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let may_be_tried = parameters.iter().any(|one| one["name"] == "dry_run");
            let takes_a_key =
                |one: &Value| one["name"] == "Idempotency-Key" && (one["required"] == true || may_be_tried);
            if parameters.iter().any(takes_a_key) {
                let is_file = operation["requestBody"]["content"].get("multipart/form-data").is_some();
                operations.push((method.to_uppercase().parse().unwrap(), path.clone(), is_file));
            }
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_that_takes_a_key_is_refused_without_one_and_writes_nothing() {
    let app = TestApp::start().await;
    let case = app.draft().await;
    // Denials of roles leave audit records.
    let written = async || {
        let (cases, _, events, keys) = rows(&app).await;
        (cases, events, keys)
    };
    let before = written().await;
    let operations = keyed_operations(&app).await;
    assert!(operations.len() >= 20, "{operations:?}");
    let mut others = Vec::new();
    for (method, template, is_file) in operations {
        let id = if template.starts_with("/v1/cases") {
            case["id"].as_str().unwrap()
        } else {
            "00000000-0000-7000-8000-000000000001"
        };
        let path = ["{id}", "{destination_id}", "{case_id}"]
            .iter()
            .fold(template.clone(), |path, name| path.replace(name, id));
        let mut slugs = Vec::new();
        let keys = [app.key(Role::Admin), app.key(Role::Supervisor), &app.operator_key];
        for key in keys {
            let request = app.request(method.clone(), &path, key).header("if-match", "\"v1\"");
            let request = if is_file { with_file(request) } else { request.json(&json!({})) };
            slugs.push(Answer::of(request).await.json()["type"].to_string());
        }
        if !slugs.iter().any(|slug| slug.contains("idempotency-key-missing")) {
            others.push(format!("{method} {template}: {slugs:?}"));
        }
    }
    assert_eq!(others, Vec::<String>::new());
    assert_eq!(written().await, before);
}

fn with_file(request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
    let part = "Content-Disposition: form-data; name=\"file\"; filename=\"rule.md\"\r\nContent-Type: text/markdown";
    request
        .header("content-type", "multipart/form-data; boundary=b")
        .body(format!("--b\r\n{part}\r\n\r\n# Rule\r\n--b--\r\n"))
}
