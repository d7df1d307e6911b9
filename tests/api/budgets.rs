//! A tenant's budget for models: set by its administrators with the version they saw, recorded, and obeyed by the ledger.

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn a_budget_is_set_by_administrators_with_the_version_they_saw_and_is_the_tenants_limit() {
    let app = TestApp::start().await;
    let fresh = app.get("/v1/budget", Role::Auditor).await;
    assert_eq!((fresh.status, fresh.header("etag")), (200, "\"v1\""));
    assert_eq!(fresh.json(), json!({"version": 1, "monthly_nanos": null, "updated_at": null}));
    app.get("/v1/budget", Role::Reporter).await.assert_problem(403, "forbidden");
    let put = async |role: Role, etag: Option<&str>, body: &Value| {
        let mut request = app.request(Method::PUT, "/v1/budget", app.key(role)).json(body);
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        Answer::of(request).await
    };
    let wanted = json!({"monthly_nanos": 25_000_000_000_u64});
    put(Role::Supervisor, Some("\"v1\""), &wanted).await.assert_problem(403, "forbidden");
    put(Role::Admin, None, &wanted).await.assert_problem(428, "precondition-required");
    let stale = put(Role::Admin, Some("\"v7\""), &wanted).await.assert_problem(412, "precondition-failed");
    assert_eq!(stale["current_version"], 1);
    for wrong in [json!({}), json!({"monthly_nanos": -1}), json!({"monthly_nanos": 1, "dollars": 2})] {
        put(Role::Admin, Some("\"v1\""), &wrong).await.assert_problem(422, "validation-failed");
    }
    let done = put(Role::Admin, Some("\"v1\""), &wanted).await;
    assert_eq!((done.status, done.header("etag")), (200, "\"v2\""), "{}", done.text);
    assert_eq!(app.get("/v1/budget", Role::Auditor).await.text, done.text);
    assert_eq!(app.get("/v1/usage", Role::Admin).await.json()["limit_nanos"], 25_000_000_000_u64);
    let trail = app.get("/v1/audit", Role::Auditor).await.text;
    assert!(trail.contains("budget.set") && trail.contains("25000000000"), "{trail}");
    let other = app.request(Method::GET, "/v1/budget", &app.tenants[1].keys[&Role::Admin]);
    assert_eq!(Answer::of(other).await.json()["version"], 1, "another tenant's budget is its own");
}
