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
async fn a_list_leaves_out_of_a_restricted_case_what_is_recorded_when_it_is_read() {
    let app = TestApp::start().await;
    for confidentiality in ["internal", "restricted"] {
        let mut case = complete_case();
        case["confidentiality"] = json!(confidentiality);
        case["attributes"] = json!({"informant": "Ann"});
        assert_eq!(app.post("/v1/cases", Role::Reporter, &case).await.status, 201);
    }
    let items = app.get("/v1/cases?sort=opened_at", Role::Supervisor).await.json()["items"].clone();
    let (internal, restricted) = (&items[0], &items[1]);
    let whole = app.get(&format!("/v1/cases/{}", internal["id"].as_str().unwrap()), Role::Supervisor).await.json();
    assert_eq!(internal, &whole);
    let path = format!("/v1/cases/{}", restricted["id"].as_str().unwrap());
    let mut whole = app.get(&path, Role::Supervisor).await.json();
    for left_out in ["narrative", "decision", "attributes"] {
        assert!(whole.as_object_mut().unwrap().remove(left_out).is_some(), "{left_out}");
    }
    assert_eq!(restricted, &whole);
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

/// Action and outcome of every denial on the chain of a case or a tenant, in order.
async fn denials(app: &TestApp, chain: &str) -> Vec<String> {
    let sql = "SELECT action FROM docket.audit_events WHERE chain_id = $1::uuid AND outcome = 'denied' ORDER BY seq";
    sqlx::query_scalar(sql).bind(chain).fetch_all(&app.superuser().await).await.unwrap()
}

#[tokio::test]
async fn every_write_that_a_role_may_not_make_is_refused_and_stands_on_the_cases_chain() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}");
    let send = async |method: Method, path: &str, body: serde_json::Value| {
        let request = app.request(method, path, app.key(Role::Auditor)).header("idempotency-key", "k");
        Answer::of(request.json(&body)).await.assert_problem(403, "forbidden");
    };
    send(Method::POST, &format!("{path}/transitions"), json!({"command": "close"})).await;
    send(Method::PUT, &format!("{path}/assignment"), json!({"assignee_id": app.principal(Role::Caseworker)})).await;
    send(Method::POST, &format!("{path}/notes"), json!({"body": "x"})).await;
    send(Method::POST, &format!("{path}/links"), json!({"target_case_id": id, "reason": "x"})).await;
    send(Method::PATCH, &path, json!({"title": "x"})).await;
    send(Method::DELETE, &path, json!({})).await;
    send(Method::POST, &format!("{path}/evidence"), json!({})).await;
    let expected = ["close", "assign", "add_note", "link", "update", "delete", "add_evidence"];
    assert_eq!(denials(&app, &id).await, expected.map(|act| format!("case.{act}")));
    let verdict = app.get(&format!("{path}/audit/verify"), Role::Auditor).await.json();
    assert_eq!(verdict["valid"], true, "{verdict}");
    assert_eq!(app.get(&path, Role::Auditor).await.json()["version"], 1, "a denial changes no version");
}

#[tokio::test]
async fn an_upload_to_a_case_that_one_may_not_see_is_answered_like_a_missing_one_and_recorded() {
    let app = TestApp::start().await;
    let mut case = complete_case();
    case["confidentiality"] = json!("restricted");
    let id = app.post("/v1/cases", Role::Reporter, &case).await.json()["id"].as_str().unwrap().to_owned();
    app.post(&format!("/v1/cases/{id}/evidence"), Role::Caseworker, &json!({})).await.assert_problem(404, "not-found");
    assert_eq!(denials(&app, &id).await, ["case.add_evidence"]);
}

#[tokio::test]
async fn administrative_acts_of_whoever_may_not_stand_on_the_chain_of_the_own_tenant() {
    let app = TestApp::start().await;
    let tenant = app.get("/v1/whoami", Role::Admin).await.json()["tenant"]["id"].as_str().unwrap().to_owned();
    let id = uuid::Uuid::now_v7();
    let acts = [
        (Method::POST, "/v1/api-keys".to_owned(), Role::Supervisor, "api_key.create"),
        (Method::POST, format!("/v1/api-keys/{id}/rotate"), Role::Reporter, "api_key.rotate"),
        (Method::DELETE, format!("/v1/api-keys/{id}"), Role::Caseworker, "api_key.revoke"),
        (Method::POST, "/v1/principals".to_owned(), Role::Auditor, "principal.create"),
        (Method::PATCH, format!("/v1/principals/{id}"), Role::Supervisor, "principal.update"),
        (Method::POST, "/v1/tenants".to_owned(), Role::Admin, "tenant.create"),
        (Method::PATCH, format!("/v1/tenants/{id}"), Role::Admin, "tenant.suspend"),
    ];
    for (method, path, role, _) in &acts {
        let request = app.request(method.clone(), path, app.key(*role)).header("idempotency-key", "k");
        Answer::of(request.json(&json!({}))).await.assert_problem(403, "forbidden");
    }
    assert_eq!(denials(&app, &tenant).await, acts.map(|(.., action)| action.to_owned()));
    let verdict = app.get("/v1/audit/verify", Role::Auditor).await.json();
    assert_eq!(verdict["valid"], true, "{verdict}");
}
