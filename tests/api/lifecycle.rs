//! A case through its life, by the commands of the transition table.

use docket_domain::principal::Role;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, complete_case};

#[tokio::test]
async fn a_created_case_is_a_draft_with_an_etag_and_a_location() {
    let app = TestApp::start().await;
    let answer = app.post("/v1/cases", Role::Reporter, &complete_case()).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let case = answer.json();
    assert_eq!((&case["state"], &case["version"]), (&json!("draft"), &json!(1)));
    assert_eq!(answer.header("etag"), "\"v1\"");
    let location = answer.header("location").to_owned();
    let read = app.get(&location, Role::Reporter).await;
    assert_eq!(read.json(), case);
    assert!(case["reference"].as_str().unwrap().starts_with("DKT-"));
    assert_eq!(case["attributes"], json!({"berth": 7}));
}

#[tokio::test]
async fn a_case_goes_from_draft_to_closed_and_every_step_is_audited_and_emitted() {
    let app = TestApp::start().await;
    let case = app.draft().await;
    let id = case["id"].as_str().unwrap().to_owned();
    let caseworker = app.principal(Role::Caseworker);
    let steps: [(Role, Value, &str); 9] = [
        (Role::Reporter, json!({"command": "submit"}), "submitted"),
        (Role::Supervisor, json!({"command": "assign", "assignee_id": caseworker}), "submitted"),
        (Role::Caseworker, json!({"command": "start_review"}), "under_review"),
        (
            Role::Caseworker,
            json!({"command": "request_information", "question": "Which buoy?"}),
            "awaiting_information",
        ),
        (Role::Reporter, json!({"command": "receive_information", "answer": "Number 4."}), "under_review"),
        (Role::Caseworker, json!({"command": "propose_decision", "decision": "Fine of 500."}), "decision_proposed"),
        (Role::Supervisor, json!({"command": "approve_decision"}), "decided"),
        (Role::Caseworker, json!({"command": "close"}), "closed"),
        (Role::Supervisor, json!({"command": "reopen", "reason": "New facts."}), "under_review"),
    ];
    for (number, (role, body, state)) in steps.iter().enumerate() {
        let answer = app.command(&id, *role, body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        assert_eq!(answer.json()["state"], *state, "{body}");
        assert_eq!(answer.json()["version"], number + 2);
    }
    let counts: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM docket.audit_events WHERE outcome = 'allowed'),
                (SELECT count(*) FROM docket.outbox_events), (SELECT max(version) FROM docket.cases)",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap();
    assert_eq!(counts, (10, 10, 10), "one audit record and one event for each version");
}

#[tokio::test]
async fn four_eyes_keep_a_proposer_from_approving() {
    let app = TestApp::start().await;
    let id = under_review(&app).await;
    let proposed = app.command(&id, Role::Supervisor, &json!({"command": "propose_decision", "decision": "No."})).await;
    assert_eq!(proposed.status, 200, "{}", proposed.text);
    let refused = app.command(&id, Role::Supervisor, &json!({"command": "approve_decision"})).await;
    let problem = refused.assert_problem(409, "conflict");
    assert_eq!(problem["guards"][0]["guard"], "four_eyes");
}

#[tokio::test]
async fn the_list_of_actions_agrees_with_what_happens() {
    let app = TestApp::start().await;
    let (id, other) = (under_review(&app).await, app.draft().await);
    let path = format!("/v1/cases/{id}/actions");
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor] {
        let actions = app.get(&path, role).await.json();
        let listed = actions["actions"].as_array().unwrap();
        assert_eq!(listed.len(), 17);
        for action in listed {
            let command = action["command"].as_str().unwrap();
            assert!(action.get("to").is_none_or(Value::is_string), "absent, never null, as documented: {action}");
            if command == "add_evidence" {
                continue; // needs stored content, which the tests of evidence provide
            }
            let mut body = with_members(&app, command);
            if command == "link" {
                body["target_case_id"] = other["id"].clone();
            }
            let answer = dry_run(&app, &id, role, &body).await;
            assert_eq!(answer.status == 200, action["allowed"], "{role} {command}: {} {action}", answer.text);
            assert_eq!(action["allowed"], action["reason"].is_null(), "{action}");
        }
    }
    let version = app.get(&format!("/v1/cases/{id}"), Role::Supervisor).await.json()["version"].clone();
    assert_eq!(version, 4, "dry runs change nothing");
}

#[tokio::test]
async fn a_legal_hold_blocks_deletion_in_the_service_and_in_the_database() {
    let app = TestApp::start().await;
    let case = app.draft().await;
    let path = format!("/v1/cases/{}", case["id"].as_str().unwrap());
    let hold = app.request(http::Method::PATCH, &path, app.key(Role::Supervisor)).header("if-match", "\"v1\"");
    assert_eq!(Answer::of(hold.json(&json!({"legal_hold": true}))).await.status, 200);
    let delete = app.request(http::Method::DELETE, &path, app.key(Role::Supervisor)).header("if-match", "\"v2\"");
    Answer::of(delete).await.assert_problem(409, "conflict");
    let error = sqlx::query("DELETE FROM docket.cases").execute(&app.superuser().await).await.unwrap_err();
    assert!(error.to_string().contains("under legal hold"), "{error}");
    let lift = app.request(http::Method::PATCH, &path, app.key(Role::Supervisor)).header("if-match", "\"v2\"");
    assert_eq!(Answer::of(lift.json(&json!({"legal_hold": false}))).await.status, 200);
    let delete = app.request(http::Method::DELETE, &path, app.key(Role::Supervisor)).header("if-match", "\"v3\"");
    assert_eq!(Answer::of(delete).await.status, 200);
    app.get(&path, Role::Supervisor).await.assert_problem(404, "not-found");
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM docket.audit_events").fetch_one(&app.superuser().await).await.unwrap();
    assert_eq!(kept, 5, "create, hold, refused deletion, lift, deletion");
}

#[tokio::test]
async fn a_link_needs_a_reason_an_existing_target_and_happens_once() {
    let app = TestApp::start().await;
    let (one, other) = (app.draft().await, app.draft().await);
    let id = one["id"].as_str().unwrap();
    let link = |reason: &str, target: &Value| json!({"command": "link", "target_case_id": target, "reason": reason});
    let lacking = app.command(id, Role::Caseworker, &json!({"command": "link", "target_case_id": other["id"]})).await;
    assert_eq!(lacking.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/reason");
    app.command(id, Role::Caseworker, &link("same buoy", &json!(uuid::Uuid::now_v7())))
        .await
        .assert_problem(404, "not-found");
    assert_eq!(app.command(id, Role::Caseworker, &link("same buoy", &other["id"])).await.status, 200);
    app.command(id, Role::Caseworker, &link("again", &other["id"])).await.assert_problem(409, "duplicate");
    let itself = app.command(id, Role::Caseworker, &link("me", &one["id"])).await;
    itself.assert_problem(422, "validation-failed");
}

/// A case under review, assigned to the caseworker, at version 4.
pub async fn under_review(app: &TestApp) -> String {
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let caseworker = app.principal(Role::Caseworker);
    app.command(&id, Role::Reporter, &json!({"command": "submit"})).await;
    app.command(&id, Role::Supervisor, &json!({"command": "assign", "assignee_id": caseworker})).await;
    let answer = app.command(&id, Role::Caseworker, &json!({"command": "start_review"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    id
}

async fn dry_run(app: &TestApp, id: &str, role: Role, body: &Value) -> Answer {
    let path = format!("/v1/cases/{id}/transitions?dry_run=true");
    Answer::of(app.request(http::Method::POST, &path, app.key(role)).header("if-match", "\"v4\"").json(body)).await
}

/// A command with every member it needs, well chosen.
fn with_members(app: &TestApp, command: &str) -> Value {
    let mut body = json!({"command": command});
    match command {
        "request_information" => body["question"] = json!("Why?"),
        "receive_information" => body["answer"] = json!("Because."),
        "escalate" | "return_for_rework" | "reopen" => body["reason"] = json!("So it is."),
        "propose_decision" => body["decision"] = json!("Fine."),
        "add_note" => body["body"] = json!("Noted."),
        "assign" => body["assignee_id"] = json!(app.principal(Role::Caseworker)),
        "link" => {
            body["reason"] = json!("Same.");
            body["target_case_id"] = json!(uuid::Uuid::now_v7());
        }
        "extend_deadline" => {
            body["reason"] = json!("Waiting.");
            body["due_at"] = json!("2999-01-01T00:00:00Z");
        }
        "add_evidence" => body["sha256"] = json!("0".repeat(64)),
        _ => {}
    }
    body
}
