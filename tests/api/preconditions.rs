//! The optimistic lock: 428 when the client did not say, 412 when it saw another version, 304 when nothing is new.

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn a_change_without_a_version_is_428_and_with_another_412() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    for header in [None, Some("*"), Some("W/\"v1\"")] {
        let path = format!("/v1/cases/{id}/transitions");
        let mut request = app.request(Method::POST, &path, app.key(Role::Reporter));
        request = request.header("idempotency-key", Uuid::new_v4().to_string());
        if let Some(value) = header {
            request = request.header("if-match", value);
        }
        Answer::of(request.json(&json!({"command": "submit"}))).await.assert_problem(428, "precondition-required");
    }
    for stale in ["\"v2\"", "\"v0\"", "\"1\"", "\"zzz\""] {
        let answer = app.command_at(&id, Role::Reporter, &json!({"command": "submit"}), stale).await;
        let problem = answer.assert_problem(412, "precondition-failed");
        assert_eq!(problem["current_version"], 1, "{stale}");
    }
    for (method, path) in [(Method::PATCH, format!("/v1/cases/{id}")), (Method::DELETE, format!("/v1/cases/{id}"))] {
        let request = app.request(method, &path, app.key(Role::Reporter)).json(&json!({"title": "x"}));
        Answer::of(request).await.assert_problem(428, "precondition-required");
    }
}

#[tokio::test]
async fn the_order_of_checks_is_existence_then_version_then_state_then_input() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let nobody = Uuid::now_v7().to_string();
    let bad_input = json!({"command": "escalate", "reason": 7, "odd": true});
    app.command_at(&nobody, Role::Caseworker, &bad_input, "\"v9\"").await.assert_problem(404, "not-found");
    app.command_at(&id, Role::Caseworker, &bad_input, "\"v9\"").await.assert_problem(412, "precondition-failed");
    app.command_at(&id, Role::Caseworker, &bad_input, "\"v1\"").await.assert_problem(409, "conflict");
    app.command(&id, Role::Reporter, &json!({"command": "submit"})).await;
    let problem =
        app.command_at(&id, Role::Caseworker, &bad_input, "\"v2\"").await.assert_problem(422, "validation-failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "{problem}");
}

#[tokio::test]
async fn a_client_that_has_the_current_version_is_told_so() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}");
    for (known, status) in [("\"v1\"", 304), ("W/\"v1\"", 304), ("\"v0\", \"v1\"", 304), ("*", 304), ("\"v2\"", 200)] {
        let request = app.request(Method::GET, &path, app.key(Role::Reporter)).header("if-none-match", known);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.header("etag")), (status, "\"v1\""), "{known}");
        assert_eq!(answer.text.is_empty(), status == 304);
    }
}
