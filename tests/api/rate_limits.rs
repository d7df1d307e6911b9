//! Rates: what is left is told with every answer, what is too much is 429, and guessing credentials ends soon.

use std::num::NonZeroU32;

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn answers_tell_the_allowance_and_beyond_it_is_429_for_that_principal_only() {
    let app = TestApp::start_with(|config| {
        config.limits.principal_requests_per_second = NonZeroU32::MIN;
        config.limits.principal_burst = NonZeroU32::new(3).unwrap();
    })
    .await;
    for left in [2, 1, 0] {
        let answer = app.get("/v1/cases", Role::Auditor).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("ratelimit"), format!("\"principal\";r={left};t=1"));
        assert!(answer.header("ratelimit-policy").contains("\"principal\";q=3;w=3"));
    }
    let refused = app.get("/v1/cases", Role::Auditor).await;
    refused.assert_problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(app.get("/v1/cases", Role::Supervisor).await.status, 200);
}

#[tokio::test]
async fn a_request_that_names_nobody_is_charged_like_any_other() {
    let app = TestApp::start_with(|config| {
        config.limits.principal_requests_per_second = NonZeroU32::MIN;
        config.limits.principal_burst = NonZeroU32::new(3).unwrap();
    })
    .await;
    let body = json!({"display_name": "Port community system", "kind": "service", "roles": ["reporter"]});
    let program = app.post("/v1/principals", Role::Admin, &body).await.json()["id"].clone();
    let key = app.post("/v1/api-keys", Role::Admin, &json!({"principal_id": program, "label": "gateway"})).await;
    let key = key.json()["key"].as_str().unwrap().to_owned();
    let name = || {
        let request = app.request(Method::GET, "/v1/cases", &key);
        Answer::of(request.header("docket-on-behalf-of", Uuid::now_v7().to_string()))
    };
    name().await.assert_problem(400, "malformed-request");
    let mut statuses = Vec::new();
    while statuses.len() < 20 && !statuses.contains(&429) {
        statuses.push(name().await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn one_principal_takes_its_own_places_and_no_more() {
    let app = TestApp::start_with(|config| config.limits.principal_in_flight = 1).await;
    // A body that does not come keeps its request where it is.
    let send_slowly = || {
        let slow = futures::stream::pending::<Result<Vec<u8>, std::io::Error>>();
        let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
        let request = request.header("idempotency-key", "slow").header("content-type", "application/json");
        tokio::spawn(request.body(reqwest::Body::wrap_stream(slow)).send())
    };
    let mut held = send_slowly();
    let mut refused = app.get("/v1/cases", Role::Reporter).await;
    for _ in 0..200 {
        if refused.status == 429 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        if held.is_finished() {
            // The look below had the one place when it came.
            held = send_slowly();
        }
        refused = app.get("/v1/cases", Role::Reporter).await;
    }
    refused.assert_problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(app.get("/v1/cases", Role::Supervisor).await.status, 200, "others have places of their own");
    held.abort();
    for _ in 0..200 {
        if app.get("/v1/cases", Role::Reporter).await.status == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the place of a client that left was not given back");
}

#[tokio::test]
async fn ten_wrong_credentials_a_minute_are_answered_401_and_then_429_before_any_look_up() {
    let app = TestApp::start().await;
    let guess = |number: usize| {
        let key = format!("dk_{number:012}_{}", "A".repeat(43));
        Answer::of(app.request(Method::GET, "/v1/cases", &key))
    };
    for number in 0..10 {
        guess(number).await.assert_problem(401, "unauthenticated");
    }
    for number in 10..13 {
        let refused = guess(number).await;
        refused.assert_problem(429, "too-many-requests");
        assert_eq!(refused.header("retry-after"), "60");
    }
}
