//! Confidentiality: one predicate on every path, in SQL as in the domain.

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, complete_case};

const ROLES: [Role; 5] = [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin];

#[tokio::test]
async fn getting_listing_counting_and_searching_agree_for_every_role_and_confidentiality() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for author in [Role::Reporter, Role::Caseworker] {
        for confidentiality in ["public", "internal", "restricted"] {
            let mut case = complete_case();
            case["confidentiality"] = json!(confidentiality);
            ids.push(app.post("/v1/cases", author, &case).await.json()["id"].as_str().unwrap().to_owned());
        }
    }
    let mut seen_by_role = Vec::new();
    for role in ROLES {
        let page = app.get("/v1/cases?count=true", role).await.json();
        let found = app.get("/v1/cases?count=true&q=buoy", role).await.json();
        let listed: Vec<_> = page["items"].as_array().unwrap().iter().map(|case| case["id"].clone()).collect();
        assert_eq!(page["count"], listed.len());
        assert_eq!(found["count"], listed.len());
        for id in &ids {
            let status = app.get(&format!("/v1/cases/{id}"), role).await.status;
            let actions = app.get(&format!("/v1/cases/{id}/actions"), role).await.status;
            let expected = if listed.contains(&json!(id)) { 200 } else { 404 };
            assert_eq!((status, actions), (expected, expected), "{role} {id}");
        }
        seen_by_role.push(listed.len());
    }
    // Reporter: both public and its own three. Caseworker: all but the reporter's restricted one. Admin: no restricted one.
    assert_eq!(seen_by_role, [4, 5, 6, 6, 4]);
}

#[tokio::test]
async fn reads_of_restricted_cases_and_denied_ones_are_recorded() {
    let app = TestApp::start().await;
    let mut case = complete_case();
    case["confidentiality"] = json!("restricted");
    let id = app.post("/v1/cases", Role::Reporter, &case).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}");
    assert_eq!(app.get(&path, Role::Auditor).await.status, 200);
    app.get(&path, Role::Caseworker).await.assert_problem(404, "not-found");
    app.command_at(&id, Role::Caseworker, &json!({"command": "submit"}), "\"v1\"")
        .await
        .assert_problem(404, "not-found");
    let trail: Vec<(String, String)> = sqlx::query_as("SELECT action, outcome FROM docket.audit_events ORDER BY seq")
        .fetch_all(&app.superuser().await)
        .await
        .unwrap();
    let expected =
        [("case.create", "allowed"), ("case.read", "allowed"), ("case.read", "denied"), ("case.submit", "denied")];
    assert_eq!(trail, expected.map(|(action, outcome)| (action.to_owned(), outcome.to_owned())));
    assert_eq!(app.get(&path, Role::Auditor).await.json()["version"], 1, "looking changes no version");
}

#[tokio::test]
async fn a_credential_without_the_scope_is_refused_whatever_its_roles() {
    let app = TestApp::start().await;
    sqlx::query("UPDATE docket.api_keys SET scopes = '{cases:read}'").execute(&app.superuser().await).await.unwrap();
    let answer = app.post("/v1/cases", Role::Reporter, &complete_case()).await;
    let problem = answer.assert_problem(403, "forbidden");
    assert!(problem["detail"].as_str().unwrap().contains("cases:write"));
    assert_eq!(app.get("/v1/cases", Role::Reporter).await.status, 200);
}

#[tokio::test]
async fn an_operator_sees_no_tenants_cases() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let page = Answer::of(app.request(Method::GET, "/v1/cases", &app.operator_key)).await;
    assert_eq!((page.status, page.json()["items"].as_array().unwrap().len()), (200, 0));
    Answer::of(app.request(Method::GET, &format!("/v1/cases/{id}"), &app.operator_key))
        .await
        .assert_problem(404, "not-found");
    let request = app.request(Method::POST, "/v1/cases", &app.operator_key).header("idempotency-key", "k");
    Answer::of(request.json(&complete_case())).await.assert_problem(403, "forbidden");
}
