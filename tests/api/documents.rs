//! The OpenAPI document and the deprecated route keep their promises.

use std::collections::BTreeSet;

use docket_domain::case::{Command, State};
use docket_domain::principal::Role;
use serde_json::Value;

use crate::support::TestApp;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

async fn document(app: &TestApp) -> Value {
    let answer = app.client.get(format!("{}/openapi.json", app.url)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

#[tokio::test]
async fn the_committed_document_is_the_served_one() {
    let app = TestApp::start().await;
    let mut served = document(&app).await;
    served["servers"] = serde_json::json!([{"url": "http://127.0.0.1:8080"}]);
    let served = format!("{}\n", serde_json::to_string_pretty(&served).unwrap());
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(SNAPSHOT, &served).unwrap();
    }
    let committed = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(committed == served, "docs/openapi.json is stale: UPDATE_SNAPSHOTS=1 cargo test --test api documents");
}

#[tokio::test]
async fn the_document_names_every_state_and_every_command_of_the_table() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    assert_eq!(document["openapi"], "3.1.0");
    let states = &document["components"]["schemas"]["Case"]["properties"]["state"]["enum"];
    let states: BTreeSet<_> = states.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(states, State::ALL.iter().map(|state| state.as_str()).collect());
    let shapes = document["components"]["schemas"]["Transition"]["oneOf"].as_array().unwrap();
    let name = |shape: &Value| shape["properties"]["command"]["enum"][0].as_str().unwrap().to_owned();
    let commands: Vec<_> = shapes.iter().map(name).collect();
    assert_eq!(commands, Command::ALL.iter().map(|command| command.as_str()).collect::<Vec<_>>());
}

#[tokio::test]
async fn every_operation_has_a_distinct_name_and_a_description() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name.to_owned()), "{method} {path}: {name}");
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_page_of_the_document_needs_nothing_from_elsewhere() {
    let app = TestApp::start().await;
    let page = app.client.get(format!("{}/docs/", app.url)).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert_eq!(page.status(), 200);
    assert!(policy.contains("'self'") && !policy.contains("http"), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains("swagger-ui") && !html.contains("https://"), "{html}");
    let parts =
        html.split_ascii_whitespace().filter_map(|word| word.strip_prefix("src=").or(word.strip_prefix("href=")));
    let mut fetched = 0;
    for part in parts.filter_map(|value| value.split('"').nth(1)) {
        assert!(!part.starts_with("//") && !part.contains(':'), "{part} is of another host");
        let address = reqwest::Url::parse(&format!("{}/docs/", app.url)).unwrap().join(part).unwrap();
        let answer = app.client.get(address).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{part}");
        assert!(!answer.bytes().await.unwrap().is_empty(), "{part}");
        fetched += 1;
    }
    assert!(fetched >= 3, "a style sheet and scripts at least, not {fetched}: {html}");
}

#[tokio::test]
async fn the_type_of_a_problem_leads_to_its_page() {
    let app = TestApp::start().await;
    let problem = app.get("/v1/cases/none", Role::Reporter).await.assert_problem(404, "not-found");
    let page = app.client.get(problem["type"].as_str().unwrap()).header("accept", "text/html").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains(problem["title"].as_str().unwrap()));
}

#[tokio::test]
async fn every_problem_type_is_a_page_of_the_service() {
    let app = TestApp::start().await;
    for kind in docket::entrypoints::http::problem::ProblemKind::ALL {
        let page = app.client.get(format!("{}/problems/{}", app.url, kind.slug())).send().await.unwrap();
        assert_eq!(page.status(), 200, "{}", kind.slug());
        assert!(page.text().await.unwrap().contains(kind.title()));
    }
}

#[tokio::test]
async fn the_deprecated_search_still_works_and_says_until_when() {
    let app = TestApp::start().await;
    app.draft().await;
    let answer = app.get("/v1/cases/search?q=buoy", Role::Supervisor).await;
    assert_eq!((answer.status, answer.json()["items"].as_array().unwrap().len()), (200, 1));
    assert!(answer.header("deprecation").starts_with('@'));
    assert!(answer.header("sunset").ends_with("GMT"));
    assert_eq!(answer.header("link"), "</v1/cases>; rel=\"successor-version\"");
}
