//! Tenants do not learn of each other: what is foreign looks as if it did not exist.

use docket::adapters::postgres::health::RowSecurityProbe;
use docket::application::ports::health::{HealthProbe, ProbeState};
use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, TestApp, complete_case};

#[tokio::test]
async fn a_foreign_case_looks_like_one_that_does_not_exist_on_every_route() {
    let app = TestApp::start().await;
    let foreign = app.draft().await["id"].as_str().unwrap().to_owned();
    let missing = Uuid::now_v7().to_string();
    let key = &app.tenants[1].keys[&Role::Supervisor];
    let routes: [(Method, &str); 8] = [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::GET, "/actions"),
        (Method::POST, "/transitions"),
        (Method::PUT, "/assignment"),
        (Method::POST, "/notes"),
        (Method::POST, "/links"),
    ];
    for (method, suffix) in routes {
        let mut bodies = Vec::new();
        for id in [&foreign, &missing] {
            let request = app.request(method.clone(), &format!("/v1/cases/{id}{suffix}"), key);
            let request = request.header("if-match", "\"v1\"").header("idempotency-key", Uuid::new_v4().to_string());
            let request = if method == Method::GET { request } else { request.json(&json!({"command": "submit"})) };
            let mut body = Answer::of(request).await.assert_problem(404, "not-found");
            body["instance"] = json!("");
            bodies.push(body);
        }
        assert_eq!(bodies[0], bodies[1], "{method} {suffix}");
    }
}

#[tokio::test]
async fn lists_counts_and_searches_hold_only_the_own_tenants_cases() {
    let app = TestApp::start().await;
    app.draft().await;
    let request = app.request(Method::GET, "/v1/cases?count=true&q=buoy", &app.tenants[1].keys[&Role::Supervisor]);
    let page = Answer::of(request).await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["count"]), (0, &json!(0)));
    let own = app.get("/v1/cases?count=true&q=buoy", Role::Supervisor).await.json();
    assert_eq!((own["items"].as_array().unwrap().len(), &own["count"]), (1, &json!(1)));
}

#[tokio::test]
async fn both_tenants_may_use_the_same_reference_and_the_same_key() {
    let app = TestApp::start().await;
    let mut case = complete_case();
    case["reference"] = json!("R-1");
    for tenant in &app.tenants {
        let request = app.request(Method::POST, "/v1/cases", &tenant.keys[&Role::Reporter]);
        let answer = Answer::of(request.header("idempotency-key", "k").json(&case)).await;
        assert_eq!((answer.status, answer.header("idempotent-replayed")), (201, ""), "{}", answer.text);
    }
    app.post("/v1/cases", Role::Reporter, &case).await.assert_problem(409, "duplicate");
}

#[tokio::test]
async fn a_case_cannot_be_linked_to_a_foreign_one() {
    let app = TestApp::start().await;
    let own = app.draft().await["id"].as_str().unwrap().to_owned();
    let request = app.request(Method::POST, "/v1/cases", &app.tenants[1].keys[&Role::Reporter]);
    let foreign = Answer::of(request.header("idempotency-key", "k").json(&complete_case())).await.json();
    let body = json!({"command": "link", "reason": "spy", "target_case_id": foreign["id"]});
    app.command(&own, Role::Caseworker, &body).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn every_table_is_under_forced_row_level_security_with_a_policy_that_checks_writes() {
    let app = TestApp::start().await;
    let bare: Vec<(String,)> = sqlx::query_as(
        "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'docket' AND c.relkind IN ('r', 'p')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
               SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polwithcheck IS NOT NULL))",
    )
    .fetch_all(&app.superuser().await)
    .await
    .unwrap();
    assert_eq!(bare, [], "tables without forced row-level security");
    let (bypass, owned): (bool, i64) = sqlx::query_as(
        "SELECT r.rolbypassrls OR r.rolsuper, (SELECT count(*) FROM pg_class WHERE relowner = r.oid)
         FROM pg_roles r WHERE r.rolname = 'docket_app'",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap();
    assert!(!bypass && owned == 0, "the service's role bypasses nothing and owns nothing");
}

#[tokio::test]
async fn a_service_whose_role_owns_a_table_is_not_ready() {
    let app = TestApp::start().await;
    let probe = RowSecurityProbe(app.pool.clone());
    assert_eq!(probe.check().await, ProbeState::Up);
    let owner = app.superuser().await;
    sqlx::query("ALTER TABLE docket.case_notes OWNER TO docket_app").execute(&owner).await.unwrap();
    assert!(matches!(probe.check().await, ProbeState::Down(_)), "the owner may switch row-level security off");
}

#[tokio::test]
async fn without_a_tenant_the_service_sees_no_row_and_writes_none() {
    let app = TestApp::start().await;
    app.draft().await;
    for table in ["tenants", "principals", "api_keys", "cases", "audit_events", "outbox_events", "idempotency_keys"] {
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM docket.{table}")))
            .fetch_one(&app.pool)
            .await
            .unwrap();
        assert_eq!(count, 0, "{table}");
    }
    let error = sqlx::query("UPDATE docket.audit_events SET action = 'x'").execute(&app.pool).await.unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    let owner = app.superuser().await;
    for statement in ["DELETE FROM docket.audit_events", "TRUNCATE docket.audit_events"] {
        let error = sqlx::query(statement).execute(&owner).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_case_is_given_only_to_somebody_whom_the_tenant_has() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let nobody = [app.tenants[1].principals[&Role::Caseworker], Uuid::now_v7()];
    for assignee in nobody {
        let body = json!({"command": "assign", "assignee_id": assignee});
        let problem = app.command(&id, Role::Supervisor, &body).await.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/assignee_id");
    }
    let body = json!({"command": "assign", "assignee_id": app.principal(Role::Caseworker)});
    assert_eq!(app.command(&id, Role::Supervisor, &body).await.status, 200);
}
