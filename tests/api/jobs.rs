//! `/v1/jobs`: who may, what happens, what is recorded, and that tenants do not learn of each other's jobs.

use docket::config::ProcessRole;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp};

/// Waits until the job stands as wanted.
async fn wait_for(app: &TestApp, id: &str, state: &str) -> Value {
    for _ in 0..500 {
        let job = app.get(&format!("/v1/jobs/{id}"), Role::Admin).await.json();
        if job["state"] == state {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{id} did not come to be {state}");
}

async fn probe(app: &TestApp, body: Value) -> String {
    let answer = app.post("/v1/jobs", Role::Admin, &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_enqueued_run_and_read_and_its_answer_replayed() {
    let app = TestApp::start_with(|config| config.server.role = ProcessRole::All).await;
    let request = |body: &Value| {
        let request = app.request(Method::POST, "/v1/jobs", app.key(Role::Admin)).header("idempotency-key", "one");
        request.json(body)
    };
    let body = json!({"kind": "probe", "payload": {"sleep_ms": 5}, "priority": "urgent"});
    let answer = Answer::of(request(&body)).await;
    assert_eq!((answer.status, &answer.json()["state"]), (201, &json!("queued")), "{}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), format!("/v1/jobs/{id}"));
    let again = Answer::of(request(&body)).await;
    assert_eq!((again.text, again.headers["idempotent-replayed"].to_str().unwrap()), (answer.text, "true"));
    Answer::of(request(&json!({"kind": "probe"}))).await.assert_problem(422, "idempotency-key-reused");
    let done = wait_for(&app, &id, "succeeded").await;
    assert!(done["result"]["began_at"].is_string() && done["attempt"] == 1, "{done}");
    let list = app.get("/v1/jobs?kind=probe&state=succeeded", Role::Admin).await.json();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["items"][0]["id"]), (1, &json!(id)));
    let trail = app.get("/v1/audit", Role::Auditor).await.text;
    assert!(trail.contains("job.enqueue") && trail.contains(&id), "{trail}");
}

#[tokio::test]
async fn dead_letters_are_redriven_one_by_one_and_by_kind() {
    let app = TestApp::start_with(|config| config.server.role = ProcessRole::All).await;
    let ids = [
        probe(&app, json!({"kind": "probe", "payload": {"fail": true}})).await,
        probe(&app, json!({"kind": "probe", "payload": {"fail": true}})).await,
    ];
    for id in &ids {
        assert_eq!(wait_for(&app, id, "dead").await["error"], "asked to fail");
    }
    let one = app.post(&format!("/v1/jobs/{}/redrive", ids[0]), Role::Admin, &json!({})).await;
    assert_eq!((one.status, &one.json()["state"]), (200, &json!("queued")), "{}", one.text);
    wait_for(&app, &ids[0], "dead").await;
    let all = app.post("/v1/jobs/redrive", Role::Admin, &json!({"kind": "probe"})).await;
    assert_eq!((all.status, all.json()), (200, json!({"kind": "probe", "dead": 2})), "{}", all.text);
    wait_for(&app, &ids[1], "dead").await;
    let trail = app.get("/v1/audit", Role::Auditor).await.text;
    assert!(trail.contains("job.redrive") && trail.contains("job.redrive_kind"), "{trail}");
    app.post("/v1/jobs/redrive", Role::Admin, &json!({"kind": "none"})).await.assert_problem(422, "validation-failed");
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_a_running_one_when_it_notices() {
    let app = TestApp::start_with(|config| {
        config.server.role = ProcessRole::All;
        config.worker.lease_ms = 800;
    })
    .await;
    let waiting = probe(&app, json!({"kind": "probe", "run_at": "2027-01-01T00:00:00Z"})).await;
    let running = probe(&app, json!({"kind": "probe", "payload": {"sleep_ms": 30_000}})).await;
    let cancel = async |id: &str| app.post(&format!("/v1/jobs/{id}/cancel"), Role::Admin, &json!({})).await;
    assert_eq!(cancel(&waiting).await.json()["state"], "cancelled");
    cancel(&waiting).await.assert_problem(409, "conflict");
    wait_for(&app, &running, "running").await;
    assert_eq!(cancel(&running).await.json()["cancel_requested"], true);
    wait_for(&app, &running, "cancelled").await;
    app.post(&format!("/v1/jobs/{running}/redrive"), Role::Admin, &json!({})).await.assert_problem(409, "conflict");
}

#[tokio::test]
async fn a_unique_key_answers_with_the_job_that_holds_it() {
    let app = TestApp::start().await;
    let body = json!({"kind": "probe", "unique_key": "nightly"});
    let first = app.post("/v1/jobs", Role::Admin, &body).await;
    let second = app.post("/v1/jobs", Role::Admin, &body).await;
    assert_eq!((first.status, second.status), (201, 200), "{}", second.text);
    assert_eq!(first.json()["id"], second.json()["id"]);
}

#[tokio::test]
async fn what_is_wrong_with_an_order_is_told_by_member() {
    let app = TestApp::start().await;
    let cases = [
        (json!({}), "/kind"),
        (json!({"kind": "none"}), "/kind"),
        (json!({"kind": "probe", "priority": "asap"}), "/priority"),
        (json!({"kind": "probe", "payload": {"sleep_ms": -1}}), "/payload"),
        (json!({"kind": "probe", "payload": {"x": "\u{0}"}}), "/payload"),
        (json!({"kind": "probe", "payload": {"x": "y".repeat(70_000)}}), "/payload"),
        (json!({"kind": "probe", "run_at": "2126-01-01T00:00:00Z"}), "/run_at"),
        (json!({"kind": "probe", "unique_key": ""}), "/unique_key"),
        (json!({"kind": "probe", "when": "now"}), "/when"),
    ];
    for (body, pointer) in cases {
        let problem = app.post("/v1/jobs", Role::Admin, &body).await.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let request = app.request(Method::POST, "/v1/jobs", app.key(Role::Admin)).json(&json!({"kind": "probe"}));
    Answer::of(request).await.assert_problem(400, "idempotency-key-missing");
    app.get("/v1/jobs?state=odd", Role::Admin).await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn only_administrators_touch_jobs_and_only_of_the_kinds_that_are_theirs() {
    let app = TestApp::start().await;
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor] {
        let body = json!({"kind": "probe"});
        app.post("/v1/jobs", role, &body).await.assert_problem(403, "forbidden");
        for path in ["/v1/jobs", "/v1/job-kinds", &format!("/v1/jobs/{}", Uuid::now_v7())] {
            app.get(path, role).await.assert_problem(403, "forbidden");
        }
    }
    let operators = json!({"kind": "purge_idempotency_keys"});
    app.post("/v1/jobs", Role::Admin, &operators).await.assert_problem(403, "forbidden");
    let request = app.request(Method::POST, "/v1/jobs", &app.operator_key).header("idempotency-key", "k");
    let answer = Answer::of(request.json(&operators)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let kinds = app.get("/v1/job-kinds", Role::Admin).await.json();
    assert!(kinds["items"].as_array().unwrap().iter().any(|kind| kind["kind"] == "probe"), "{kinds}");
}

#[tokio::test]
async fn a_foreign_job_looks_like_one_that_does_not_exist_on_every_route() {
    let app = TestApp::start().await;
    let foreign = probe(&app, json!({"kind": "probe", "run_at": "2027-01-01T00:00:00Z"})).await;
    let missing = Uuid::now_v7().to_string();
    let other = &app.tenants[1].keys[&Role::Admin];
    for key in [other, &app.operator_key] {
        for (method, suffix) in [(Method::GET, ""), (Method::POST, "/cancel"), (Method::POST, "/redrive")] {
            let mut bodies = Vec::new();
            for id in [&foreign, &missing] {
                let request = app.request(method.clone(), &format!("/v1/jobs/{id}{suffix}"), key);
                let request = request.header("idempotency-key", Uuid::new_v4().to_string());
                let mut body = Answer::of(request).await.assert_problem(404, "not-found");
                body["instance"] = json!("");
                bodies.push(body);
            }
            assert_eq!(bodies[0], bodies[1], "{method} {suffix}");
        }
        let list = Answer::of(app.request(Method::GET, "/v1/jobs", key)).await.json();
        assert_eq!(list["items"], json!([]));
    }
    let own = app.get("/v1/jobs?limit=1", Role::Admin).await.json();
    assert_eq!(own["items"][0]["id"], foreign);
}

#[tokio::test]
async fn pages_of_jobs_are_walked_by_cursor_and_a_cursor_fits_its_filter_only() {
    let app = TestApp::start().await;
    for _ in 0..5 {
        probe(&app, json!({"kind": "probe"})).await;
    }
    let first = app.get("/v1/jobs?limit=3&state=queued", Role::Admin).await.json();
    let cursor = first["next"].as_str().unwrap();
    let second = app.get(&format!("/v1/jobs?limit=3&state=queued&cursor={cursor}"), Role::Admin).await.json();
    assert_eq!((second["items"].as_array().unwrap().len(), second.get("next")), (2, None));
    assert!(first["items"][2]["id"].as_str() > second["items"][0]["id"].as_str(), "newest first");
    app.get(&format!("/v1/jobs?cursor={cursor}"), Role::Admin).await.assert_problem(400, "invalid-cursor");
}
