//! A stop that load balancers notice in time: for a while the service says that it goes and still serves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::post;
use crate::process::Service;

/// Status and JSON body of a GET over a connection of its own.
async fn get(service: &Service, path: &str, key: &str) -> (u16, Value) {
    let client = reqwest::Client::new();
    let answer = client.get(format!("{}{path}", service.url)).bearer_auth(key).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Waits until the service says that it stops.
async fn says_that_it_stops(service: &Service) {
    let began = Instant::now();
    loop {
        let (status, body) = get(service, "/readyz", "").await;
        if status == 503 {
            assert_eq!(body["status"], "stopping", "{body}");
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "still ready: {body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn during_the_drain_delay_readiness_fails_and_requests_are_served_and_a_second_signal_ends_it() {
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::start(data.path(), &[("DOCKET_SERVER__DRAIN_DELAY_MS", "60000")]).await;
    let key = service.seed_key(&["reporter", "admin"]).await;
    assert_eq!(get(&service, "/readyz", "").await.0, 200);
    let told = Instant::now();
    service.signal("-TERM");
    says_that_it_stops(&service).await;
    assert_eq!(get(&service, "/healthz", "").await.0, 200, "the process is well");
    let (trace, title) = ("4bf92f3577b34da6a3ce929d0e0e4736", json!({"title": "Late"}));
    assert_eq!(post(&service, &key, "/v1/cases", trace, title).await, 201);
    let job = json!({"kind": "probe", "payload": {}});
    assert_eq!(post(&service, &key, "/v1/jobs", trace, job).await, 201);
    // Far longer than the worker would need for it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, jobs) = get(&service, "/v1/jobs", &key).await;
    assert_eq!(jobs["items"][0]["state"], "queued", "no job begins any more: {jobs}");
    assert_eq!(get(&service, "/v1/cases", &key).await.0, 200);
    service.signal("-TERM");
    assert_eq!(service.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_mins(1), "the second signal ends the delay");

    let mut next = Service::start(data.path(), &[("DOCKET_SERVER__DRAIN_DELAY_MS", "1500")]).await;
    let told = Instant::now();
    next.signal("-TERM");
    says_that_it_stops(&next).await;
    assert_eq!(get(&next, "/healthz", "").await.0, 200);
    assert_eq!(next.ended(), Some(0));
    assert!(
        told.elapsed() >= Duration::from_millis(1_500),
        "the delay ends by itself, not sooner: {:?}",
        told.elapsed()
    );
}
