//! Searching through the running service.

use std::time::{Duration, Instant};

use docket::adapters::embedding::{EmbeddingSettings, OnnxEmbedder};
use docket::application::ports::embedder::{Embedder, Urgency};
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::nearest::{document, tenant_of};
use crate::support::{Answer, TestApp};

pub const TEXTS: [&str; 3] = [
    "A licensee must notify the Authority of a safety incident within 24 hours.",
    "Annual fees are due on the first of March.",
    "Inspectors may enter premises at any reasonable time.",
];

async fn vectors(texts: &[&str]) -> Vec<Vec<f32>> {
    let settings = EmbeddingSettings {
        model_dir: None,
        library: None,
        quantised: false,
        threads: 1,
        batch_tokens: 1_024,
        window: 256,
    };
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    OnnxEmbedder::new(settings).embed(&texts, Urgency::Bulk).await.unwrap()
}

pub async fn bring(app: &TestApp, owner: &PgPool, tenant: usize, level: &str, texts: &[&str]) -> Uuid {
    let principal = app.tenants[tenant].principals[&Role::Supervisor];
    let vectors = vectors(texts).await;
    let passages: Vec<(&str, Vec<f32>)> = texts.iter().copied().zip(vectors).collect();
    document(owner, tenant_of(owner, principal).await, principal, level, &passages).await
}

pub async fn search(app: &TestApp, tenant: usize, role: Role, body: &Value) -> Value {
    let answer = Answer::of(app.request(Method::POST, "/v1/search", &app.tenants[tenant].keys[&role]).json(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

pub fn texts(answer: &Value) -> Vec<String> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap().to_owned()).collect()
}

/// Asks until the answer is as expected; an index of words follows within a second, a busy machine takes longer.
pub async fn eventually(
    app: &TestApp,
    tenant: usize,
    role: Role,
    body: &Value,
    expected: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = search(app, tenant, role, body).await;
        if expected(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn words_and_meaning_find_a_passage_and_each_stage_says_where() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    bring(&app, &owner, 0, "public", &TEXTS).await;
    let body = json!({"query": "incident notification deadline"});
    let answer =
        eventually(&app, 0, Role::Reporter, &body, |answer| answer["hits"][0]["stages"]["keywords"].is_object()).await;
    let best = &answer["hits"][0];
    assert_eq!(best["text"], TEXTS[0]);
    assert_eq!((&best["title"], &best["headings"]), (&json!("A rulebook"), &json!(["Part"])));
    for stage in ["keywords", "meaning", "fusion"] {
        assert_eq!(best["stages"][stage]["rank"], 1, "{stage}: {best}");
    }
    assert!(best["stages"]["rerank"].is_null());
    assert_eq!((&answer["method"], answer["hits"].as_array().unwrap().len()), (&json!("exact"), 3));
    let body = json!({"query": "incident notification deadline", "rerank": true, "limit": 1});
    let reranked = search(&app, 0, Role::Reporter, &body).await;
    assert_eq!(reranked["hits"][0]["stages"]["rerank"]["rank"], 1);
    assert_eq!(texts(&reranked), [TEXTS[0]]);
    let body = json!({"query": "incident", "fusion": "keywords", "relevance_percent": 50});
    let by_words = search(&app, 0, Role::Reporter, &body).await;
    assert_eq!(texts(&by_words), [TEXTS[0]]);
    assert!(by_words["method"].is_null());
}

#[tokio::test]
async fn neither_another_tenant_nor_a_lower_role_finds_a_passage() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let secret = "The reactor at Northport has a hairline crack in its vessel.";
    bring(&app, &owner, 0, "restricted", &[secret]).await;
    bring(&app, &owner, 1, "public", &["The reactor at Southport is sound."]).await;
    for fusion in ["convex", "rrf", "keywords", "meaning"] {
        let body = json!({"query": "reactor crack", "fusion": fusion, "confidentialities": ["restricted", "public"]});
        eventually(&app, 0, Role::Supervisor, &body, |answer| texts(answer) == [secret]).await;
        eventually(&app, 1, Role::Supervisor, &body, |answer| texts(answer).len() == 1).await;
        for (tenant, role) in [(0, Role::Reporter), (0, Role::Caseworker), (1, Role::Supervisor), (1, Role::Admin)] {
            let answer = search(&app, tenant, role, &body).await;
            assert!(!answer.to_string().contains("Northport"), "{fusion} as {role} of tenant {tenant}: {answer}");
        }
    }
    let foreign = json!({"query": "reactor", "collection": "elsewhere"});
    let request = app.request(Method::POST, "/v1/search", app.key(Role::Supervisor)).json(&foreign);
    Answer::of(request).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn a_deleted_document_is_gone_at_once_and_a_rebuilt_index_finds_the_same() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    bring(&app, &owner, 0, "public", &TEXTS).await;
    let gone = bring(&app, &owner, 0, "public", &["Notify every incident by telephone."]).await;
    let body = json!({"query": "notify incident", "fusion": "keywords"});
    let before = eventually(&app, 0, Role::Reporter, &body, |answer| texts(answer).len() == 2).await;
    sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(gone).execute(&owner).await.unwrap();
    let after = search(&app, 0, Role::Reporter, &body).await;
    assert_eq!(texts(&after), [TEXTS[0]], "the store has the last word, whatever the index still holds");
    sqlx::query("SELECT nextval('docket.keyword_index_epoch')").execute(&owner).await.unwrap();
    bring(&app, &owner, 0, "public", &["Incident books are kept for five years."]).await;
    let rebuilt = eventually(&app, 0, Role::Reporter, &body, |answer| texts(answer).len() == 2).await;
    assert!(texts(&rebuilt).contains(&TEXTS[0].to_owned()), "{before} and {rebuilt}");
}

#[tokio::test]
async fn a_form_with_mistakes_names_each() {
    let app = TestApp::start().await;
    let body = json!({"fusion": "magic", "limit": 0, "document_ids": ["x"], "confidentialities": ["secret"], "sql": 1});
    let request = app.request(Method::POST, "/v1/search", app.key(Role::Reporter)).json(&body);
    let problem = Answer::of(request).await.assert_problem(422, "validation-failed");
    let named: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    for pointer in ["/query", "/fusion", "/limit", "/document_ids", "/confidentialities", "/sql"] {
        assert!(named.contains(&pointer), "{pointer} in {named:?}");
    }
}
