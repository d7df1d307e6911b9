//! One trace leads from an upload to the plugin that read it, and one from a question over the search and its reranker to the model.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::collector::{CLIENT, CONSUMER, Collector, INTERNAL, attribute, status};
use super::conventions::{is_chat, is_embeddings, is_request, is_statement};
use super::process::Service;
use super::{CALLER, post};

const UPLOAD: &str = "4bf92f3577b34da6a3ce929d0e0e4737";
const QUESTION: &str = "4bf92f3577b34da6a3ce929d0e0e4738";
const TEXT: &str = "# Boats\n\nEvery boat carries one life jacket for each person on board.\n";

/// Brings a document as the holder of a key and waits until it can be found.
async fn bring(service: &Service, key: &str) {
    let client = reqwest::Client::new();
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"boats.md\"\r\n\r\n";
    let request = client.post(format!("{}/v1/documents", service.url)).bearer_auth(key);
    let request = request.header("idempotency-key", "boats").header("traceparent", format!("00-{UPLOAD}-{CALLER}-01"));
    let request = request.header("content-type", "multipart/form-data; boundary=b");
    let answer = request.body(format!("{part}{TEXT}\r\n--b--\r\n")).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let order = json!({"query": "life jacket", "fusion": "keywords"});
    let began = Instant::now();
    loop {
        let request = client.post(format!("{}/v1/search", service.url)).bearer_auth(key).json(&order);
        let found: Value = request.send().await.unwrap().json().await.unwrap();
        if found["hits"].as_array().is_some_and(|hits| !hits.is_empty()) {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "not found within a minute: {found}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn one_trace_leads_from_a_question_over_search_and_reranking_plugin_to_the_model_and_its_citations() {
    let collector = Collector::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("DOCKET_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("DOCKET_PLUGINS__PATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugins/troublemakers")),
        ("DOCKET_PLUGINS__RERANKER", "length"),
        ("DOCKET_PLUGINS__RERANKER_MS", "60000"),
        ("DOCKET_ANSWERS__RERANK", "true"),
    ];
    let mut service = Service::start(data.path(), &settings).await;
    let key = service.seed_key(&["caseworker", "admin"]).await;
    bring(&service, &key).await;
    let found = collector.trace(UPLOAD, CALLER, |trace| trace.find("plugin").is_some()).await;
    let (job, plugin) = (found.named("job"), found.named("plugin"));
    assert_eq!((job.kind, plugin.kind, status(plugin)), (CONSUMER, CLIENT, 0));
    assert!(found.is_below(job, found.named("POST /v1/documents")) && found.is_below(plugin, job));

    let question = json!({"question": "How many life jackets does every boat carry?"});
    assert_eq!(post(&service, &key, "/v1/answers", QUESTION, question).await, 201);
    let ends = ["POST /v1/answers", "answer"];
    let found = collector.trace(QUESTION, CALLER, |trace| ends.iter().all(|name| trace.find(name).is_some())).await;
    let request = found.named("POST /v1/answers");
    is_request(request, "POST", "/v1/answers", "/v1/answers", 201);
    let answer = found.named("answer");
    assert!(answer.kind == INTERNAL && found.is_below(answer, request));
    assert_eq!((attribute(answer, "verdict").as_str(), attribute(answer, "citations").as_str()), ("supported", "1"));
    let search = found.named("search");
    assert!(found.is_below(search, answer));
    for stage in ["search.keywords", "search.meaning", "SELECT chunks", "search.rerank"] {
        assert!(found.is_below(found.named(stage), search), "{stage} is not below the search");
    }
    is_statement(found.named("SELECT chunks"), "SELECT", "chunks", "");
    let embed = found.named("embed");
    assert!(found.is_below(embed, found.named("search.meaning")));
    let vectors = found.spans.iter().find(|span| span.name.starts_with("embeddings ") && found.is_below(span, embed));
    is_embeddings(vectors.expect("a span of the embedding model"), 384);
    let plugin = found.named("plugin");
    assert_eq!((plugin.kind, status(plugin), attribute(plugin, "plugin").as_str()), (CLIENT, 0, "length"));
    assert!(found.is_below(plugin, found.named("search.rerank")));
    let model = found.spans.iter().find(|span| span.name.starts_with("chat ")).expect("a span of the model");
    is_chat(model, "docket", "docket-extractive", 800);
    assert!(found.is_below(model, answer) && plugin.end_time_unix_nano <= model.start_time_unix_nano);
    let kept = found.named("UPDATE answers");
    is_statement(kept, "UPDATE", "answers", "");
    assert!(found.is_below(kept, answer));
    assert_eq!(service.interrupt(), Some(0));
}
