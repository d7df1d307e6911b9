//! Webhook endpoints as records: listed, changed, removed with what waits for them, and brought back after "gone".

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};

use crate::receiver::{Manner, Receiver};
use crate::support::{Answer, TestApp};
use crate::webhooks::{attempts, is_verified, local, register, settled_lane};

async fn start() -> (TestApp, Receiver) {
    (TestApp::start_with(local).await, Receiver::start().await)
}

fn place(endpoint: &Value) -> String {
    format!("/v1/webhooks/{}", endpoint["id"].as_str().unwrap())
}

async fn patch(app: &TestApp, endpoint: &Value, changes: &Value) -> Answer {
    Answer::of(app.request(Method::PATCH, &place(endpoint), app.key(Role::Admin)).json(changes)).await
}

async fn delete(app: &TestApp, endpoint: &Value, key: &str) -> Answer {
    Answer::of(app.request(Method::DELETE, &place(endpoint), key)).await
}

async fn count(app: &TestApp, table: &'static str, endpoint: &Value) -> i64 {
    let sql = match table {
        "deliveries" => "SELECT count(*) FROM docket.deliveries WHERE destination_id::text = $1",
        "lanes" => "SELECT count(*) FROM docket.delivery_lanes WHERE destination_id::text = $1",
        "secrets" => "SELECT count(*) FROM docket.webhook_secrets WHERE endpoint_id::text = $1",
        other => panic!("{other}?"),
    };
    sqlx::query_scalar(sql).bind(endpoint["id"].as_str()).fetch_one(&app.superuser().await).await.unwrap()
}

/// The endpoint, once it is shown as enabled or disabled.
async fn shown(app: &TestApp, endpoint: &Value, enabled: bool) -> Value {
    for _ in 0..1_000 {
        let shown = app.get(&place(endpoint), Role::Admin).await.json();
        if shown["enabled"] == enabled {
            return shown;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not within twenty seconds");
}

#[tokio::test]
async fn endpoints_are_listed_page_by_page_without_their_secrets_and_each_tenant_sees_its_own() {
    let (app, receiver) = start().await;
    let (first, second) = (register(&app, &receiver.url()).await, register(&app, &receiver.url()).await);
    assert!(first["secret"].as_str().unwrap().starts_with("whsec_"));
    let page = app.get("/v1/webhooks?limit=1", Role::Admin).await;
    assert_eq!((page.status, &page.json()["items"][0]["id"]), (200, &first["id"]), "{}", page.text);
    let next = format!("/v1/webhooks?limit=1&cursor={}", page.json()["next"].as_str().unwrap());
    let last = app.get(&next, Role::Admin).await;
    assert_eq!((&last.json()["items"][0]["id"], last.json().get("next")), (&second["id"], None), "{}", last.text);
    let all = app.get("/v1/webhooks", Role::Admin).await;
    assert_eq!(all.json()["items"].as_array().unwrap().len(), 2);
    assert!(!all.text.contains("whsec_"), "{}", all.text);
    let stranger = &app.tenants[1].keys[&Role::Admin];
    let theirs = Answer::of(app.request(Method::GET, "/v1/webhooks", stranger)).await;
    assert_eq!(theirs.json()["items"], json!([]));
    let name = json!({"name": "mine"});
    let taken = Answer::of(app.request(Method::PATCH, &place(&first), stranger).json(&name)).await;
    assert_eq!((taken.status, delete(&app, &first, stranger).await.status), (404, 404));
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor] {
        assert_eq!(app.get("/v1/webhooks", role).await.status, 403, "{role}");
    }
}

#[tokio::test]
async fn a_change_keeps_what_it_does_not_name_applies_to_what_is_sent_from_then_on_and_is_audited() {
    let (app, receiver) = start().await;
    let (endpoint, elsewhere) = (register(&app, &receiver.url()).await, Receiver::start().await);
    app.draft().await;
    receiver.wait_for(1).await;
    let changes = json!({"url": elsewhere.url(), "event_types": ["docket.case.submitted"]});
    let answer = patch(&app, &endpoint, &changes).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!((&body["name"], &body["enabled"], &body["id"]), (&json!("desk"), &json!(true), &endpoint["id"]));
    assert_eq!((&body["url"], &body["event_types"]), (&changes["url"], &changes["event_types"]));
    assert_eq!(body.get("secret"), None);
    assert_eq!(app.get(&place(&endpoint), Role::Admin).await.json(), body);
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    assert_eq!(app.command(&id, Role::Reporter, &json!({"command": "submit"})).await.status, 200);
    let arrived = elsewhere.wait_for(1).await;
    assert_eq!(arrived[0].event()["type"], "docket.case.submitted", "other types are no longer wanted");
    assert!(is_verified(&endpoint["secret"], &arrived).await, "the secret stays");
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(patch(&app, &endpoint, &json!({"name": "renamed"})).await.json()["url"], changes["url"]);
    let refused = patch(&app, &endpoint, &json!({"url": "https://10.0.0.1/"})).await;
    assert_eq!(refused.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/url");
    let trail = app.get("/v1/audit?limit=50", Role::Auditor).await.json();
    let records = trail["items"].as_array().unwrap().iter();
    let updates: Vec<&Value> =
        records.filter(|record| record["action"] == "webhook.update" && record["outcome"] == "allowed").collect();
    let renamed = updates.iter().find(|record| record["after"]["name"] == "renamed").unwrap();
    assert_eq!((updates.len(), &renamed["before"]["name"]), (2, &json!("desk")), "{trail}");
}

#[tokio::test]
async fn removing_an_endpoint_removes_what_waits_for_it_and_its_secrets_and_nothing_of_the_others() {
    let (app, receiver) = start().await;
    let (doomed, kept) = (register(&app, &receiver.url()).await, register(&app, &receiver.url()).await);
    receiver.behave(Manner::Says(422, "", "no"));
    let case = app.draft().await;
    attempts(&app, &doomed, 1).await;
    attempts(&app, &kept, 1).await;
    settled_lane(&app, &case["id"]).await;
    for endpoint in [&doomed, &kept] {
        assert_eq!((count(&app, "deliveries", endpoint).await, count(&app, "lanes", endpoint).await), (1, 1));
    }
    let removed = delete(&app, &doomed, app.key(Role::Admin)).await;
    assert_eq!((removed.status, &removed.json()["id"]), (200, &doomed["id"]), "{}", removed.text);
    for table in ["deliveries", "lanes", "secrets"] {
        assert_eq!((count(&app, table, &doomed).await, count(&app, table, &kept).await), (0, 1), "{table}");
    }
    assert_eq!(app.get(&place(&doomed), Role::Admin).await.status, 404);
    assert_eq!(delete(&app, &doomed, app.key(Role::Admin)).await.status, 404, "there is nothing to remove");
    assert_eq!(app.get("/v1/webhooks", Role::Admin).await.json()["items"].as_array().unwrap().len(), 1);
    receiver.behave(Manner::Says(204, "", ""));
    let before = receiver.received().len();
    app.draft().await;
    let arrived = receiver.wait_for(before + 1).await;
    assert!(is_verified(&kept["secret"], &arrived[before..]).await, "only the other endpoint is told");
    let trail = app.get("/v1/audit?limit=50", Role::Auditor).await.text;
    assert!(trail.contains("webhook.delete"), "{trail}");
}

#[tokio::test]
async fn an_endpoint_that_said_gone_gets_what_waited_when_it_is_enabled_again() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    receiver.behave(Manner::Says(410, "", "gone"));
    let waits = app.draft().await["id"].clone();
    let disabled = shown(&app, &endpoint, false).await;
    assert_eq!(disabled["disabled_reason"], "gone");
    assert_eq!(count(&app, "deliveries", &endpoint).await, 1, "what waits stays");
    receiver.behave(Manner::Says(204, "", ""));
    let enabled = patch(&app, &endpoint, &json!({"enabled": true})).await;
    assert_eq!((enabled.status, &enabled.json()["enabled"]), (200, &json!(true)), "{}", enabled.text);
    assert!(enabled.json()["disabled_reason"].is_null());
    let arrived = receiver.wait_for(2).await;
    assert_eq!((&arrived[1].event()["subject"], &arrived[1].event()["sequence"]), (&waits, &json!("1")));
    assert_eq!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"), "the refused one came again");
    let log = attempts(&app, &endpoint, 2).await;
    assert_eq!(
        (&log[1]["outcome"], &log[0]["outcome"], &log[0]["attempt"]),
        (&json!("gone"), &json!("delivered"), &json!(1))
    );
}

#[tokio::test]
async fn after_the_overlap_of_a_rotation_the_old_secret_verifies_nothing() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    let path = format!("{}/rotate-secret", place(&endpoint));
    let rotated = app.post(&path, Role::Admin, &json!({"overlap_seconds": 3600})).await.json();
    app.draft().await;
    let arrived = receiver.wait_for(1).await;
    assert_eq!(arrived[0].header("webhook-signature").split(' ').count(), 2);
    assert!(is_verified(&endpoint["secret"], &arrived).await);
    let hour_later = "UPDATE docket.webhook_secrets SET expires_at = expires_at - interval '1 hour'
                      WHERE expires_at IS NOT NULL";
    let moved = sqlx::query(hour_later).execute(&app.superuser().await).await.unwrap();
    assert_eq!(moved.rows_affected(), 1);
    app.draft().await;
    let arrived = receiver.wait_for(2).await;
    assert_eq!(arrived[1].header("webhook-signature").split(' ').count(), 1);
    assert!(is_verified(&rotated["secret"], &arrived[1..]).await);
    assert!(
        !is_verified(&endpoint["secret"], &arrived[1..]).await,
        "the old secret verified a message after its overlap"
    );
}

#[tokio::test]
async fn what_is_written_for_an_endpoint_while_it_is_being_removed_goes_with_it() {
    let (app, receiver) = start().await;
    let doomed = register(&app, &receiver.url()).await;
    let owner = app.superuser().await;
    // As a relay does it that has just read the endpoints.
    let mut writing = owner.begin().await.unwrap();
    for statement in [
        "SELECT id FROM docket.webhook_endpoints WHERE id::text = $1 FOR KEY SHARE",
        "INSERT INTO docket.deliveries (tenant_id, destination_id, case_id, sequence, event_id)
         SELECT tenant_id, id, id, 1, id FROM docket.webhook_endpoints WHERE id::text = $1",
        "INSERT INTO docket.delivery_lanes (tenant_id, destination_id, case_id, pending)
         SELECT tenant_id, id, id, 1 FROM docket.webhook_endpoints WHERE id::text = $1",
    ] {
        sqlx::query(statement).bind(doomed["id"].as_str()).execute(&mut *writing).await.unwrap();
    }
    let committing = async {
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&owner).await.unwrap() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        writing.commit().await.unwrap();
    };
    let (removed, ()) = tokio::join!(delete(&app, &doomed, app.key(Role::Admin)), committing);
    assert_eq!(removed.status, 200, "{}", removed.text);
    assert_eq!((count(&app, "lanes", &doomed).await, count(&app, "deliveries", &doomed).await), (0, 0));
}
