//! Rates: what is left is told with every answer, what is too much is 429, and guessing credentials ends soon.

use std::num::NonZeroU32;

use docket_domain::principal::Role;
use http::Method;

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
