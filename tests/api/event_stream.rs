//! The change feed as a stream: order, resuming, signs of life, caps, and the end when the service stops.

use std::time::Duration;

use docket_domain::principal::Role;

use crate::support::TestApp;

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
