//! One trace leads from an upload to the plugin that read it, and one from a question over the search to the model.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::collector::{CLIENT, CONSUMER, Collector, INTERNAL, SERVER, attribute, status};
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
async fn one_trace_leads_from_a_question_over_the_search_to_the_model_and_its_citations() {
    let collector = Collector::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut service =
        Service::start(data.path(), &[("DOCKET_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str())]).await;
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
    assert_eq!((request.kind, status(request)), (SERVER, 0));
    let answer = found.named("answer");
    assert!(answer.kind == INTERNAL && found.is_below(answer, request));
    assert_eq!((attribute(answer, "verdict").as_str(), attribute(answer, "citations").as_str()), ("supported", "1"));
    let search = found.named("search");
    assert!(found.is_below(search, answer));
    for stage in ["search.keywords", "search.meaning", "embed", "SELECT chunks"] {
        assert!(found.is_below(found.named(stage), search), "{stage} is not below the search");
    }
    let model = found.spans.iter().find(|span| span.name.starts_with("chat ")).expect("a span of the model");
    assert_eq!((model.kind, status(model), attribute(model, "gen_ai.operation.name").as_str()), (CLIENT, 0, "chat"));
    assert!(found.is_below(model, answer) && !attribute(model, "gen_ai.usage.output_tokens").is_empty());
    let kept = found.named("UPDATE answers");
    assert_eq!((kept.kind, attribute(kept, "db.system.name").as_str()), (CLIENT, "postgresql"));
    assert!(found.is_below(kept, answer));
    assert_eq!(service.interrupt(), Some(0));
}
