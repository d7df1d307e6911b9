//! How many traces are exported: by `telemetry.sample_ratio`, unless the caller has decided.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use serde_json::json;

use super::collector::Collector;
use super::process::Service;

/// Requests of each kind where all or none are recorded, and where chance decides.
const FEW: usize = 40;
const MANY: usize = 200;

/// Asks so often, each time within a trace of the caller's if `flags` says so; the traces, and those of them that are recorded as
/// the answers say.
async fn ask(
    service: &Service,
    key: &str,
    requests: usize,
    flags: Option<&str>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let client = reqwest::Client::new();
    let (mut all, mut recorded) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..requests {
        let mut request = client.get(format!("{}/v1/whoami", service.url)).bearer_auth(key);
        if let Some(flags) = flags {
            let trace = uuid::Uuid::now_v7().simple();
            request = request.header("traceparent", format!("00-{trace}-{}-{flags}", super::CALLER));
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let place = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
        let trace = place[3..35].to_owned();
        if place.ends_with("-01") {
            recorded.insert(trace.clone());
        }
        all.insert(trace);
    }
    assert_eq!(all.len(), requests);
    (all, recorded)
}

/// Runs a service with this ratio. Those that begin here are recorded as `of_ours` allows; those of callers as they have decided;
/// and what is exported in the end is exactly what was said to be recorded.
async fn holds(ratio: &str, requests: usize, of_ours: RangeInclusive<usize>) {
    let collector = Collector::start().await;
    let data = tempfile::tempdir().unwrap();
    let settings =
        [("DOCKET_TELEMETRY__OTLP_ENDPOINT", collector.endpoint.as_str()), ("DOCKET_TELEMETRY__SAMPLE_RATIO", ratio)];
    let mut service = Service::start(data.path(), &settings).await;
    let key = service.seed_key(&["reporter", "admin"]).await;
    let (ours, of_ours_recorded) = ask(&service, &key, requests, None).await;
    assert!(of_ours.contains(&of_ours_recorded.len()), "at {ratio}: {} of {requests}", of_ours_recorded.len());
    let (wanted, recorded) = ask(&service, &key, FEW, Some("01")).await;
    assert_eq!(wanted, recorded, "at {ratio}: who records a trace gets our part of it");
    let (unwanted, recorded) = ask(&service, &key, FEW, Some("00")).await;
    assert_eq!(recorded, BTreeSet::new(), "at {ratio}: who does not record a trace gets nothing");

    // What the request causes shares its fate.
    let untraced = uuid::Uuid::now_v7().simple().to_string();
    let request = reqwest::Client::new().post(format!("{}/v1/jobs", service.url)).bearer_auth(&key);
    let request = request.header("idempotency-key", "probe");
    let request = request.header("traceparent", format!("00-{untraced}-{}-00", super::CALLER));
    assert_eq!(request.json(&json!({"kind": "probe", "payload": {}})).send().await.unwrap().status(), 201);
    job_is_over(&service, &key).await;

    let expected: BTreeSet<String> = of_ours_recorded.union(&wanted).cloned().collect();
    let began = Instant::now();
    while !expected.is_subset(&collector.traces()) {
        assert!(began.elapsed() < Duration::from_secs(40), "at {ratio}: not all that were recorded were exported");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The rest is exported with the end, if anything is.
    assert_eq!(service.interrupt(), Some(0));
    let mut silent: BTreeSet<String> =
        ours.union(&unwanted).filter(|trace| !expected.contains(*trace)).cloned().collect();
    silent.insert(untraced);
    let exported = collector.traces();
    let surplus: Vec<_> = silent.intersection(&exported).collect();
    assert!(surplus.is_empty(), "at {ratio}: exported and not recorded: {surplus:?}");
}

async fn job_is_over(service: &Service, key: &str) {
    let began = Instant::now();
    loop {
        let answer =
            reqwest::Client::new().get(format!("{}/v1/jobs", service.url)).bearer_auth(key).send().await.unwrap();
        let jobs: serde_json::Value = answer.json().await.unwrap();
        if jobs["items"][0]["state"] == "succeeded" {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{jobs}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn at_ratio_nothing_only_traces_that_their_callers_record_are_exported() {
    holds("0", FEW, 0..=0).await;
}

#[tokio::test]
async fn at_ratio_a_quarter_about_a_quarter_of_the_traces_that_begin_here_are_exported() {
    // Eight standard deviations of a fair coin that falls so once in four.
    holds("0.25", MANY, 1..=100).await;
}

#[tokio::test]
async fn at_ratio_one_every_trace_that_begins_here_is_exported_and_none_that_its_caller_does_not_record() {
    holds("1", FEW, FEW..=FEW).await;
}
