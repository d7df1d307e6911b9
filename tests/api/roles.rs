//! A process may answer requests, do background work, or both.

use docket::config::ProcessRole;
use docket_domain::principal::Role;
use http::Method;

use crate::support::{Answer, TestApp};

#[tokio::test]
async fn a_worker_answers_health_and_metrics_and_nothing_else() {
    let app = TestApp::start_with(|config| config.server.role = ProcessRole::Worker).await;
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/v1/cases", 404), ("/docs", 404)] {
        // Not read as an `Answer`: the document describes what a process answers that has the API.
        let answer = app.request(Method::GET, path, app.key(Role::Supervisor)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn both_roles_in_one_process_answer_requests_and_name_their_background_services() {
    let app = TestApp::start_with(|config| config.server.role = ProcessRole::All).await;
    assert_eq!(app.get("/v1/cases", Role::Supervisor).await.status, 200);
    let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let ready = loop {
        let ready = Answer::of(app.client.get(format!("{}/readyz", app.url))).await;
        // The index of words and the background services have a moment to begin.
        if ready.status == 200 || tokio::time::Instant::now() > patience {
            break ready;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((ready.status, &ready.json()["status"]), (200, &serde_json::json!("ready")), "{}", ready.text);
}
