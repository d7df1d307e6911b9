//! Reranking by plugins through the running service.

use docket_domain::principal::Role;
use docket_domain::retrieval::statistics::SplitMix64;
use serde_json::{Value, json};

use crate::nearest::{document, tenant_of, vector};
use crate::service::{bring, eventually, search, texts};
use crate::support::TestApp;

async fn app(reranker: &str, milliseconds: u64) -> TestApp {
    TestApp::start_with(|config| {
        config.plugins.program = Some(env!("CARGO_BIN_EXE_docket").into());
        config.plugins.home = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/.venv").into());
        config.plugins.path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugins/troublemakers").into();
        config.plugins.reranker = reranker.into();
        config.plugins.reranker_ms = milliseconds;
    })
    .await
}

const SHORT: &str = "Leaks are reported.";
const LONG: &str =
    "Leaks, and whatever else reaches the water of the harbour in any quantity, are reported by telephone.";

fn stages(answer: &Value) -> Vec<&str> {
    answer["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect()
}

async fn both_are_found(app: &TestApp) {
    bring(app, &app.superuser().await, 0, "public", &[SHORT, LONG]).await;
    let body = json!({"query": "leaks reported", "fusion": "keywords"});
    eventually(app, 0, Role::Reporter, &body, |answer| texts(answer) == [SHORT, LONG]).await;
}

#[tokio::test]
async fn a_search_may_be_reranked_by_a_plugin() {
    let app = app("length", 60_000).await;
    both_are_found(&app).await;
    let body = json!({"query": "leaks reported", "fusion": "keywords", "rerank": true});
    let answer = search(&app, 0, Role::Reporter, &body).await;
    let long = answer["hits"].as_array().unwrap().iter().find(|hit| hit["text"] == LONG).unwrap();
    let score = format!("{}", long["stages"]["rerank"]["score"].as_f64().unwrap());
    assert_eq!(score, LONG.chars().count().to_string(), "{answer}");
    assert!(stages(&answer).contains(&"rerank") && answer["degraded"].is_null(), "{answer}");
}

#[tokio::test]
async fn what_is_beyond_the_reranked_candidates_follows_behind_them() {
    let app = app("length", 60_000).await;
    let owner = app.superuser().await;
    let principal = app.tenants[0].principals[&Role::Supervisor];
    let mut numbers = SplitMix64::new(5);
    let bodies: Vec<String> = (0..40).map(|n| format!("Leaks are reported{}.", " to the harbour".repeat(n))).collect();
    let passages: Vec<_> = bodies.iter().map(|text| (text.as_str(), vector(&mut numbers, 0))).collect();
    document(&owner, tenant_of(&owner, principal).await, principal, "public", &passages).await;
    let body = |rerank| json!({"query": "leaks reported", "fusion": "keywords", "limit": 50, "rerank": rerank});
    let before = eventually(&app, 0, Role::Reporter, &body(false), |answer| texts(answer).len() == 40).await;
    let after = search(&app, 0, Role::Reporter, &body(true)).await;
    assert_eq!(texts(&after).len(), 40, "{after}");
    assert_eq!(texts(&after)[30..], texts(&before)[30..], "in the order before");
    let hits = after["hits"].as_array().unwrap();
    assert!(hits[..30].iter().all(|hit| hit["stages"]["rerank"].is_object()));
    assert!(hits[30..].iter().all(|hit| hit["stages"]["rerank"].is_null()));
    let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|pair| pair[0] >= pair[1]), "{scores:?}");
}

#[tokio::test]
async fn without_its_reranker_a_search_keeps_the_order_and_says_so() {
    let app = app("slow", 300).await;
    both_are_found(&app).await;
    let body = json!({"query": "leaks reported", "fusion": "keywords", "rerank": true});
    for _ in 0..2 {
        let answer = search(&app, 0, Role::Reporter, &body).await;
        assert_eq!(texts(&answer), [SHORT, LONG]);
        assert!(answer["degraded"].as_str().is_some_and(|why| why.contains("slow")), "{answer}");
        // And it is not remembered: the next search tries again.
        assert!(stages(&answer).contains(&"rerank_failed"), "{answer}");
    }
}
