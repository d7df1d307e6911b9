//! The change feed as a stream: order, resuming, signs of life, caps, and the end when the service stops.

use std::time::Duration;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp};

/// Reads messages until there are so many with data, or the stream ends.
async fn messages(response: &mut reqwest::Response, number: usize) -> Vec<(String, String)> {
    let (mut text, mut found) = (String::new(), Vec::new());
    while found.len() < number {
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk()).await.expect("in time").unwrap();
        let Some(chunk) = chunk else { break };
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some(end) = text.find("\n\n") {
            let message: String = text.drain(..end + 2).collect();
            let field = |name: &str| {
                message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
            };
            if !field("data:").is_empty() {
                found.push((field("id:"), field("data:")));
            }
        }
    }
    found
}

async fn stream(app: &TestApp, last: Option<&str>) -> reqwest::Response {
    let request = app.request(http::Method::GET, "/v1/events", app.key(Role::Supervisor));
    let request = request.header("accept", "text/event-stream");
    let request = if let Some(last) = last { request.header("last-event-id", last) } else { request };
    request.send().await.unwrap()
}

fn subject(data: &str) -> String {
    serde_json::from_str::<serde_json::Value>(data).unwrap()["subject"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stream_follows_what_happens_and_resumes_where_it_was() {
    let app = TestApp::start().await;
    let first = app.draft().await["id"].as_str().unwrap().to_owned();
    let mut open = stream(&app, None).await;
    assert_eq!(open.status(), 200);
    assert_eq!(open.headers()["content-type"], "text/event-stream");
    let seen = messages(&mut open, 1).await;
    assert_eq!(subject(&seen[0].1), first);
    let began = std::time::Instant::now();
    let second = app.draft().await["id"].as_str().unwrap().to_owned();
    let next = messages(&mut open, 1).await;
    assert_eq!(subject(&next[0].1), second);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    drop(open);
    let third = app.draft().await["id"].as_str().unwrap().to_owned();
    let mut again = stream(&app, Some(&seen[0].0)).await;
    let rest: Vec<_> = messages(&mut again, 2).await.iter().map(|(_, data)| subject(data)).collect();
    assert_eq!(rest, [second, third]);
    let forged = stream(&app, Some("nonsense")).await;
    assert_eq!(forged.status(), 400);
}

#[tokio::test]
async fn streams_are_capped_give_signs_of_life_and_end_in_time() {
    let app = TestApp::start_with(|config| {
        config.events.max_streams_per_tenant = 1;
        config.events.heartbeat_seconds = 1;
        config.events.max_stream_seconds = 3;
    })
    .await;
    let mut open = stream(&app, None).await;
    let refused = stream(&app, None).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].as_bytes()), (503, &b"5"[..]));
    let mut text = String::new();
    while let Some(chunk) = tokio::time::timeout(Duration::from_secs(10), open.chunk()).await.unwrap().unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert!(text.starts_with("retry: 1000\n\n") && text.contains(": still here\nid: "), "{text}");
    drop(open);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stream(&app, None).await.status(), 200, "the place is free again");
}

async fn change(app: &TestApp, method: Method, path: &str, key: &str, body: Value) -> Value {
    let request = app.request(method, path, key).header("idempotency-key", Uuid::new_v4().to_string());
    let answer = Answer::of(request.json(&body)).await;
    assert!(answer.status < 300, "{path}: {}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_stream_ends_soon_after_its_credential_does() {
    let app = TestApp::start_with(|config| config.events.heartbeat_seconds = 1).await;
    let admin = app.key(Role::Admin);
    let mut streams = Vec::new();
    for name in ["revoked", "disabled", "demoted", "kept"] {
        let body = json!({"display_name": name, "roles": ["supervisor"]});
        let principal = change(&app, Method::POST, "/v1/principals", admin, body).await["id"].clone();
        let body = json!({"principal_id": principal, "label": name});
        let key = change(&app, Method::POST, "/v1/api-keys", admin, body).await;
        let request = app.request(Method::GET, "/v1/events", key["key"].as_str().unwrap());
        let open = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(open.status(), 200, "{name}");
        streams.push((name, open, principal.as_str().unwrap().to_owned(), key["id"].as_str().unwrap().to_owned()));
    }
    let revoked = app.request(Method::DELETE, &format!("/v1/api-keys/{}", streams[0].3), admin);
    assert_eq!(Answer::of(revoked.header("idempotency-key", "revoke")).await.status, 200);
    let of = |at: usize| format!("/v1/principals/{}", streams[at].2);
    change(&app, Method::PATCH, &of(1), admin, json!({"disabled": true})).await;
    change(&app, Method::PATCH, &of(2), admin, json!({"roles": ["reporter"]})).await;
    let mut kept = streams.pop().unwrap().1;
    for (name, mut open, ..) in streams {
        let rest = async { while open.chunk().await.unwrap().is_some() {} };
        assert!(
            tokio::time::timeout(Duration::from_secs(8), rest).await.is_ok(),
            "the stream of who was {name} goes on"
        );
    }
    let mut text = String::new();
    while !text.contains(": still here") {
        let chunk = tokio::time::timeout(Duration::from_secs(8), kept.chunk()).await.expect("in time").unwrap();
        text.push_str(std::str::from_utf8(&chunk.expect("it goes on")).unwrap());
    }
}
