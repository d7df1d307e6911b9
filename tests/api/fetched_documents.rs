//! Documents by their addresses: fetched from a real server behind the guard, once for each key, and known by what they are.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};

use crate::receiver::{Manner, Receiver};
use crate::support::{Answer, TestApp};

/// A service for which `docs.example` is this machine, and a server there.
async fn start(limit: u64) -> (TestApp, Receiver, String) {
    let here: IpAddr = Ipv4Addr::LOCALHOST.into();
    let app = TestApp::start_looking_up(Arc::new(move |_| Box::pin(async move { Ok(vec![here]) })), |config| {
        config.webhooks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.webhooks.allow_http = true;
        config.storage.max_evidence_bytes = limit;
    })
    .await;
    let server = Receiver::start().await;
    let origin = format!("http://docs.example:{}", server.address.port());
    (app, server, origin)
}

async fn bring(app: &TestApp, key: &str, body: &Value) -> Answer {
    let request = app.request(Method::POST, "/v1/documents", app.key(Role::Caseworker)).json(body);
    Answer::of(request.header("idempotency-key", key)).await
}

const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\n";

#[tokio::test]
async fn an_address_is_fetched_once_for_a_key_whatever_it_gives_later() {
    let (app, server, origin) = start(1_000_000).await;
    let body = json!({"url": format!("{origin}/rules.aspx?part=2"), "collection": "rules"});
    server.behave(Manner::Says(200, PLAIN, "Masters report within 24 hours."));
    let first = bring(&app, "one", &body).await;
    let document = first.json();
    assert_eq!((first.status, &document["source"]), (201, &body["url"]), "{}", first.text);
    assert_eq!((&document["title"], &document["media_type"]), (&json!("rules.aspx.txt"), &json!("text/plain")));
    server.behave(Manner::Says(200, PLAIN, "Masters report within 12 hours."));
    let replayed = bring(&app, "one", &body).await;
    assert_eq!((replayed.status, &replayed.text), (201, &first.text));
    bring(&app, "one", &json!({"url": format!("{origin}/other")})).await.assert_problem(422, "idempotency-key-reused");
    assert_eq!(server.count(), 1, "what is answered from the store is not fetched");
    let changed = bring(&app, "two", &body).await;
    assert_eq!((changed.status, &changed.json()["version"]), (200, &json!(2)), "{}", changed.text);
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn pages_are_known_by_the_type_that_their_server_says() {
    let (app, server, origin) = start(1_000_000).await;
    let page = "<!DOCTYPE html><html><body><p>Masters report within 24 hours.</p></body></html>";
    server.behave(Manner::Says(200, "Content-Type: application/xhtml+xml\r\n", page));
    for path in ["rules", "rules.jsp", "rules.html"] {
        let body = json!({"url": format!("{origin}/{path}"), "collection": path.replace('.', "-")});
        let answer = bring(&app, path, &body).await;
        assert_eq!((answer.status, &answer.json()["media_type"]), (201, &json!("text/html")), "{}", answer.text);
    }
    server.behave(Manner::Says(404, PLAIN, "no"));
    let missing = bring(&app, "missing", &json!({"url": format!("{origin}/gone")})).await;
    assert_eq!(missing.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/url");
}

#[tokio::test]
async fn what_is_larger_than_a_file_may_be_is_not_taken_in_to_its_end() {
    let (app, server, origin) = start(100_000).await;
    for (key, manner) in [("announced", Manner::Floods), ("chunked", Manner::Pours)] {
        server.behave(manner);
        bring(&app, key, &json!({"url": format!("{origin}/flood.txt")})).await.assert_problem(413, "payload-too-large");
    }
    let staged = std::fs::read_dir(app.evidence_directory.join("staged")).map_or(0, Iterator::count);
    assert_eq!(staged, 0, "nothing stays staged");
}
