//! The real binary with its embedded database: starts, survives kill -9, stops completely, and traces a write to its SQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "service/collector.rs"]
mod collector;
#[path = "service/conventions.rs"]
mod conventions;
#[path = "service/demo.rs"]
mod demo;
#[path = "service/drain.rs"]
mod drain;
#[path = "service/exposition.rs"]
mod exposition;
#[path = "service/hostile_labels.rs"]
mod hostile_labels;
#[path = "service/process.rs"]
mod process;
#[path = "service/question.rs"]
mod question;
#[path = "support/receiver.rs"]
mod receiver;
#[path = "service/sampling.rs"]
mod sampling;
#[path = "service/schedules.rs"]
mod schedules;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use collector::{CLIENT, CONSUMER, Collector, INTERNAL, attribute, is_linked, status};
use conventions::{is_request, is_statement, is_webhook};
use docket::telemetry::catalogue;
use process::Service;
use receiver::{Manner, Receiver};

#[tokio::test]
async fn a_killed_service_blocks_nothing_and_sigint_stops_everything_it_started() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Service::start(data.path(), &[]).await;
    let postmaster = data.path().join("postgres/postmaster.pid");
    assert!(postmaster.exists());
    first.kill();
    let began = Instant::now();
    let mut second = Service::start(data.path(), &[]).await;
    assert!(began.elapsed() < Duration::from_secs(10), "ready again after {:?}", began.elapsed());
    assert_eq!(second.interrupt(), Some(0), "a clean exit");
    assert!(!postmaster.exists(), "the database is stopped, too");
    let mut third = Service::start(data.path(), &[]).await;
    assert_eq!(third.interrupt(), Some(0));
}

#[tokio::test]
async fn of_two_services_on_one_data_directory_only_the_last_stops_the_database() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Service::start(data.path(), &[]).await;
    let mut second = Service::start(data.path(), &[]).await;
    assert_eq!(first.interrupt(), Some(0));
    let ready = reqwest::get(format!("{}/readyz", second.url)).await.unwrap();
    assert_eq!(ready.status(), 200, "the other still has its database");
    metrics_agree_with_their_page(&second.url).await;
    assert_eq!(second.interrupt(), Some(0));
    assert!(!data.path().join("postgres/postmaster.pid").exists());
}

/// Posts as the holder of a key, within a trace of the caller's.
async fn post(service: &Service, key: &str, path: &str, trace: &str, body: serde_json::Value) -> u16 {
    let request = reqwest::Client::new().post(format!("{}{path}", service.url)).bearer_auth(key);
    let request = request.header("idempotency-key", format!("{trace}{path}"));
    let request = request.header("traceparent", format!("00-{trace}-{CALLER}-01"));
    request.json(&body).send().await.unwrap().status().as_u16()
}

/// The caller's own span.
const CALLER: &str = "00f067aa0ba902b7";

#[tokio::test]
async fn one_trace_leads_from_the_request_through_the_sql_and_the_outbox_to_the_webhook_and_the_job() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("DOCKET_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()),
        ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
        // A sink in the process; nobody answers there.
        ("DOCKET_ENRICHMENT__URL", "http://127.0.0.1:9"),
    ];
    let mut service = Service::start(data.path(), &settings).await;
    let key = service.seed_key(&["reporter", "admin"]).await;
    let untraced = "11111111111111111111111111111111";
    let endpoint = serde_json::json!({"name": "desk", "url": receiver.url()});
    assert_eq!(post(&service, &key, "/v1/webhooks", untraced, endpoint).await, 201);

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let case = serde_json::json!({"title": "A traced case"});
    assert_eq!(post(&service, &key, "/v1/cases", trace, case.clone()).await, 201);
    let job = serde_json::json!({"kind": "probe", "payload": {}});
    assert!(post(&service, &key, "/v1/jobs", trace, job).await < 300);
    let arrived = receiver.wait_for(1).await;
    let last = ["POST /v1/cases", "POST /v1/jobs", "POST webhook", "job"];
    let found = collector.trace(trace, CALLER, |trace| last.iter().all(|name| trace.find(name).is_some())).await;

    let request = found.named("POST /v1/cases");
    assert_eq!(hex::encode(&request.parent_span_id), CALLER);
    is_request(request, "POST", "/v1/cases", "/v1/cases", 201);
    let work = found.named("unit_of_work");
    assert!(work.kind == INTERNAL && found.is_below(work, request));
    let known = found.named("SELECT idempotency_keys");
    is_statement(known, "SELECT", "idempotency_keys", "");
    // Several operations in one statement: the case, its audit row, its event, the answer for the key.
    let write = found.named("INSERT or UPDATE cases");
    assert_eq!((write.kind, status(write)), (CLIENT, 0));
    assert_eq!(
        (attribute(write, "db.system.name").as_str(), attribute(write, "db.operation.name").as_str()),
        ("postgresql", "")
    );
    assert_eq!(
        (attribute(write, "db.query.summary"), attribute(write, "db.collection.name")),
        (write.name.clone(), "cases".into())
    );
    assert!(found.is_below(known, work) && found.is_below(write, work));
    let sent = found.named("POST webhook");
    is_webhook(sent, &receiver.url(), 204, "delivered");
    assert_eq!(sent.parent_span_id, request.span_id, "the queue between them breaks nothing");
    assert_eq!(attribute(sent, "messaging.message.id"), arrived[0].header("webhook-id"));
    let place = format!("00-{trace}-{}-01", hex::encode(&sent.span_id));
    assert_eq!(arrived[0].header("traceparent"), place, "the receiver goes on from here");
    let batch = collector.batch("lanes", request).await;
    assert_eq!(batch.kind, CONSUMER);
    assert_ne!(batch.trace_id, request.trace_id, "a batch has many causes, so it is below none");
    assert!(is_linked(sent, &batch.trace_id, &batch.span_id), "from the message one comes to what was sent with it");
    collector.batch("enrichment", request).await;
    let job = found.named("job");
    assert_eq!((job.kind, status(job)), (CONSUMER, 0));
    assert!(found.is_below(job, found.named("POST /v1/jobs")));

    receiver.behave(Manner::Says(500, "", "out of order"));
    let refused = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(post(&service, &key, "/v1/cases", refused, case).await, 201);
    let found = collector.trace(refused, CALLER, |trace| trace.find("POST webhook").is_some()).await;
    is_webhook(found.named("POST webhook"), &receiver.url(), 500, "rejected");
    failures_are_told(&service, &collector, &key).await;
    assert_eq!(service.interrupt(), Some(0));
}

/// A statement that the database refuses is an error with its code, in a request that is one; a request for what is not there is none.
async fn failures_are_told(service: &Service, collector: &Collector, key: &str) {
    let (missing, refused) = ("0af7651916cd43dd8448eb211c80319d", "0af7651916cd43dd8448eb211c80319e");
    let path = format!("/v1/cases/{}", uuid::Uuid::now_v7());
    let get = async |trace: &str| {
        let request = reqwest::Client::new().get(format!("{}{path}", service.url)).bearer_auth(key);
        let request = request.header("traceparent", format!("00-{trace}-{CALLER}-01"));
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get(missing).await, 404);
    let (server, owner) = service.database().await;
    sqlx::query("REVOKE SELECT ON docket.cases FROM docket_app").execute(&owner).await.unwrap();
    assert_eq!(get(refused).await, 500);
    owner.close().await;
    server.stop().await.unwrap();
    for (trace, answer, code) in [(missing, 404, ""), (refused, 500, "42501")] {
        let found = collector.trace(trace, CALLER, |trace| trace.find("GET /v1/cases/{id}").is_some()).await;
        is_request(found.named("GET /v1/cases/{id}"), "GET", "/v1/cases/{id}", &path, answer);
        is_statement(found.named("SELECT cases"), "SELECT", "cases", code);
    }
}

/// Everything at /metrics stands in the catalogue, with the labels that it has there and no others, and every metric that needs no event to appear is there.
async fn metrics_agree_with_their_page(url: &str) {
    let began = Instant::now();
    let always: BTreeSet<_> = catalogue::PARTS
        .iter()
        .filter(|(part, _)| matches!(*part, "What the service stands on" | "The process"))
        .flat_map(|(_, metrics)| metrics.iter().map(|metric| metric.name))
        .collect();
    loop {
        let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
        let mut seen = BTreeSet::new();
        for sample in exposition::samples(&text) {
            let name = sample.name.as_str();
            let metric = catalogue::metric_of(name);
            let metric = metric.unwrap_or_else(|| panic!("{name} is not in src/telemetry/catalogue.rs"));
            let labels: BTreeSet<_> = sample.labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
            let listed: BTreeSet<_> = metric.labels.iter().copied().collect();
            assert_eq!(labels, listed, "{name} has other labels than src/telemetry/catalogue.rs says");
            seen.insert(metric.name);
        }
        let missing: Vec<_> = always.difference(&seen).collect();
        if missing.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not at /metrics: {missing:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
