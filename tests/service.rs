//! The real binary with its embedded database: starts, survives kill -9, stops completely, and traces a write to its SQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "service/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use docket::telemetry::catalogue;
use process::Service;

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

#[tokio::test]
async fn one_trace_leads_from_the_request_through_the_use_case_to_the_sql() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let data = tempfile::tempdir().unwrap();
    let mut service = Service::start(data.path(), &[("DOCKET_TELEMETRY__OTLP_ENDPOINT", &endpoint)]).await;
    let key = service.seed_reporter().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let wanted = hex::decode(trace).unwrap();
    let spans = std::thread::spawn(move || collect(&collector, &wanted));
    let answer = reqwest::Client::new()
        .post(format!("{}/v1/cases", service.url))
        .bearer_auth(&key)
        .header("idempotency-key", "k")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .json(&serde_json::json!({"title": "A traced case"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let export = tokio::task::spawn_blocking(move || spans.join().unwrap()).await.unwrap();
    for part in ["POST /v1/cases", "unit_of_work", "case.create", "SELECT idempotency_keys", "INSERT or UPDATE cases"] {
        assert!(export.windows(part.len()).any(|window| window == part.as_bytes()), "no span says {part}");
    }
    let wanted = hex::decode(trace).unwrap();
    let mentions = export.windows(wanted.len()).filter(|window| *window == wanted).count();
    assert!(mentions >= 4, "{mentions} spans carry the client's trace id");
    assert_eq!(service.interrupt(), Some(0));
}

/// Everything at /metrics stands in the catalogue, and every metric that needs no event to appear is there.
async fn metrics_agree_with_their_page(url: &str) {
    let began = Instant::now();
    let always: BTreeSet<_> = catalogue::PARTS
        .iter()
        .filter(|(part, _)| matches!(*part, "What the service stands on" | "The process"))
        .flat_map(|(_, metrics)| metrics.iter().map(|metric| metric.name))
        .collect();
    loop {
        let text = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut seen = BTreeSet::new();
        for name in samples.filter_map(|line| line.split(['{', ' ']).next()) {
            let metric = catalogue::metric_of(name);
            seen.insert(metric.unwrap_or_else(|| panic!("{name} is not in src/telemetry/catalogue.rs")).name);
        }
        let missing: Vec<_> = always.difference(&seen).collect();
        if missing.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not at /metrics: {missing:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Takes exports until one holds the wanted trace, and gives that one back.
fn collect(listener: &TcpListener, wanted: &[u8]) -> Vec<u8> {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 8_192]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        if seen.windows(wanted.len()).any(|window| window == wanted) {
            return seen;
        }
    }
}
