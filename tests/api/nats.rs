//! The broker as operators see it: named as degraded while it is away, and never a reason not to be ready.

use docket::config::ProcessRole;
use serde_json::Value;

use crate::support::TestApp;

#[tokio::test]
async fn a_broker_that_is_away_is_named_in_the_readiness_and_does_not_fail_it() {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = TestApp::start_with(|config| {
        config.server.role = ProcessRole::All;
        config.nats.url = Some(format!("nats://:hunter2@127.0.0.1:{port}").into());
    })
    .await;
    let mut body = Value::Null;
    for _ in 0..600 {
        let answer = app.client.get(format!("{}/readyz", app.url)).send().await.unwrap();
        if answer.status() == 200 {
            body = answer.json().await.unwrap();
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(body["status"], "degraded", "{body}");
    let nats = body["checks"].as_array().unwrap().iter().find(|check| check["name"] == "nats").unwrap();
    assert_eq!((&nats["required"], &nats["state"]), (&false.into(), &"down".into()), "{nats}");
    assert!(!body.to_string().contains("hunter2"), "{body}");
}
