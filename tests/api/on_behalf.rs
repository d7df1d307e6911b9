//! `Docket-On-Behalf-Of`: programs name the person they act for, and the trail tells both.

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp, complete_case};

const HEADER: &str = "docket-on-behalf-of";

/// A program with the role of a reporter: its principal and its key.
async fn program(app: &TestApp) -> (String, String) {
    let body = json!({"display_name": "Port community system", "kind": "service", "roles": ["reporter"]});
    let principal = app.post("/v1/principals", Role::Admin, &body).await.json()["id"].as_str().unwrap().to_owned();
    let body = json!({"principal_id": principal, "label": "gateway"});
    let key = app.post("/v1/api-keys", Role::Admin, &body).await.json()["key"].as_str().unwrap().to_owned();
    (principal, key)
}

async fn create(app: &TestApp, key: &str, person: &str) -> Answer {
    let request = app.request(Method::POST, "/v1/cases", key).header(HEADER, person);
    Answer::of(request.header("idempotency-key", Uuid::new_v4().to_string()).json(&complete_case())).await
}

#[tokio::test]
async fn a_program_acts_for_a_person_of_its_tenant_and_the_trail_names_both() {
    let app = TestApp::start().await;
    let (program, key) = program(&app).await;
    let person = app.principal(Role::Caseworker).to_string();
    let created = create(&app, &key, &person).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let trail = app.get(&format!("/v1/cases/{id}/audit"), Role::Auditor).await.json();
    let record: &Value = &trail["items"][0];
    assert_eq!((&record["actor_id"], &record["on_behalf_of"]), (&json!(program), &json!(person)), "{trail}");
    assert_eq!(record["actor_type"], "service");
}

#[tokio::test]
async fn nobody_acts_for_people_who_are_not_of_the_tenant_and_no_person_passes_for_a_program() {
    let app = TestApp::start().await;
    let (_, key) = program(&app).await;
    let stranger = app.tenants[1].principals[&Role::Caseworker].to_string();
    for nobody in [stranger.as_str(), &Uuid::now_v7().to_string(), "somebody", ""] {
        create(&app, &key, nobody).await.assert_problem(400, "malformed-request");
    }
    let disabled = app.principal(Role::Supervisor).to_string();
    let path = format!("/v1/principals/{disabled}");
    let request = app.request(Method::PATCH, &path, app.key(Role::Admin)).json(&json!({"disabled": true}));
    let patched = Answer::of(request.header("idempotency-key", "disable")).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    create(&app, &key, &disabled).await.assert_problem(400, "malformed-request");
    let person = app.principal(Role::Caseworker).to_string();
    create(&app, app.key(Role::Reporter), &person).await.assert_problem(403, "forbidden");
}
