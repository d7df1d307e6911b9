//! What a worker makes of the queue: retries, panics, timeouts, garbage, cancellation, and leaving in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket::adapters::postgres::PgJobQueue;
use docket::adapters::system::{SystemClock, SystemRandomness};
use docket::application::jobs::job_result::RESULT_MAX;
use docket::application::jobs::{JobContext, JobError, JobHandler, KindSpec, Outcome, Registry};
use docket::application::ports::job_queue::JobQueue;
use docket::application::ports::job_store::{Job, JobStore, NewJob};
use docket::entrypoints::worker::{JobRunner, RunnerSettings, Service, Tools};
use docket_domain::ids::JobId;
use docket_domain::job::{JobState, LeaseTerms, RetryPolicy};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bench::Bench;

/// Does what its payload says.
#[derive(Default)]
pub struct Puppet {
    pub begun: AtomicU32,
    pub at_once: AtomicU32,
    pub most_at_once: AtomicU32,
    /// How long an attempt may take instead of 0.4 s.
    pub patience: Option<Duration>,
}

#[async_trait]
impl JobHandler for Puppet {
    fn spec(&self) -> KindSpec {
        KindSpec {
            concurrency: 3,
            timeout: self.patience.unwrap_or(Duration::from_millis(400)),
            retry: RetryPolicy { max_attempts: 3, base: Duration::from_millis(20), cap: Duration::from_millis(40) },
            keeps_results: true,
            ..KindSpec::new("puppet", "Does what its payload says.")
        }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        if payload["act"].is_string() { Ok(()) } else { Err("`act` must be text".into()) }
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let outcome = match payload["act"].as_str().unwrap() {
            "sleep" => {
                let sleep = Duration::from_millis(payload["ms"].as_u64().unwrap());
                tokio::select! {
                    () = tokio::time::sleep(sleep) => Ok(Outcome::DoneWith(json!({"attempt": context.attempt}))),
                    () = context.cancelled.cancelled() => Err(JobError::Cancelled),
                }
            }
            "fail" => Err(JobError::retry("the other side is busy")),
            "fail_first" if context.attempt == 1 => Err(JobError::retry("only the first time")),
            "trace" => Ok(Outcome::DoneWith(json!({"trace": context.trace_id, "parent": context.traceparent}))),
            "huge" => Ok(Outcome::DoneWith(json!("x".repeat(RESULT_MAX)))),
            "nul" => Ok(Outcome::DoneWith(json!({"text": "a\0b"}))),
            "deep" => Ok(Outcome::DoneWith((0..10_000).fold(json!(0), |inner, _| Value::Array(vec![inner])))),
            "fatal" => Err(JobError::Fatal("no such thing".into())),
            "hang" => std::future::pending().await,
            "panic" => {
                self.at_once.fetch_sub(1, Ordering::SeqCst);
                panic!("on purpose")
            }
            _ => Ok(Outcome::DoneWith(json!({"attempt": context.attempt}))),
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

/// A worker that runs until it is dropped or stopped.
pub struct Running {
    pub stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

pub fn start(bench: &Bench, handlers: Vec<Arc<dyn JobHandler>>, lease: Duration) -> Running {
    start_on(Arc::new(PgJobQueue::new(bench.pool.clone())), handlers, lease)
}

pub fn start_on(queue: Arc<dyn JobQueue>, handlers: Vec<Arc<dyn JobHandler>>, lease: Duration) -> Running {
    let runner = JobRunner(Tools {
        queue,
        registry: Registry::new(handlers).unwrap(),
        ids: Arc::new(SystemClock::new()),
        randomness: Arc::new(SystemRandomness),
        settings: RunnerSettings {
            name: "test".into(),
            lease: LeaseTerms { length: lease },
            poll: Duration::from_millis(20),
            window: 100,
            finish_within: Duration::from_millis(600),
        },
    });
    let stop = CancellationToken::new();
    let token = stop.clone();
    Running { stop, task: tokio::spawn(async move { runner.run(token).await }) }
}

pub async fn puppet(bench: &Bench, act: Value) -> JobId {
    bench.enqueue(NewJob { payload: act, ..bench.job("puppet") }).await
}

/// Waits until the job stands as wanted.
pub async fn wait_for(bench: &Bench, id: JobId, state: JobState) -> Job {
    let began = Instant::now();
    loop {
        let job = bench.store.get(bench.tenant, id).await.unwrap();
        if let Some(job) = job.clone().filter(|job| job.state == state) {
            return job;
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{job:?} is not {state}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const LEASE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn every_way_to_fail_ends_as_it_should() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let worker = start(&bench, vec![handler.clone()], LEASE);
    let again = puppet(&bench, json!({"act": "fail_first"})).await;
    let failing = puppet(&bench, json!({"act": "fail"})).await;
    let fatal = puppet(&bench, json!({"act": "fatal"})).await;
    let panicking = puppet(&bench, json!({"act": "panic"})).await;
    let hanging = puppet(&bench, json!({"act": "hang"})).await;
    let garbage = puppet(&bench, json!([1, 2, 3])).await;
    assert_eq!(wait_for(&bench, again, JobState::Succeeded).await.result, Some(json!({"attempt": 2})));
    let expected = [
        (failing, 3, "the other side is busy"),
        (fatal, 1, "no such thing"),
        (panicking, 3, "the handler panicked"),
        (hanging, 3, "not done within 0.4 s"),
        (garbage, 1, "the payload cannot be worked on: `act` must be text"),
    ];
    for (id, attempts, reason) in expected {
        let dead = wait_for(&bench, id, JobState::Dead).await;
        assert_eq!(dead.attempt, attempts, "{dead:?}");
        assert!(dead.error.as_deref().unwrap().contains(reason), "{dead:?}");
    }
    worker.end().await;
}

#[tokio::test]
async fn a_result_that_cannot_be_kept_ends_its_own_job_and_no_other() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let mut good = Vec::new();
    let mut bad = Vec::new();
    for (act, reason) in [("huge", "longer than 65536 bytes"), ("nul", "U+0000"), ("deep", "deeper than 64 levels")] {
        good.push(puppet(&bench, json!({"act": "done"})).await);
        bad.push((puppet(&bench, json!({"act": act})).await, reason));
        good.push(puppet(&bench, json!({"act": "done"})).await);
    }
    let worker = start(&bench, vec![handler], LEASE);
    for id in good {
        assert_eq!(wait_for(&bench, id, JobState::Succeeded).await.attempt, 1);
    }
    for (id, reason) in bad {
        let dead = wait_for(&bench, id, JobState::Dead).await;
        assert_eq!((dead.attempt, &dead.result), (1, &None), "{dead:?}");
        assert!(dead.error.as_deref().unwrap().contains(reason), "{dead:?}");
    }
    worker.end().await;
}

#[tokio::test]
async fn a_job_goes_on_with_the_trace_of_whoever_asked_for_it() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let worker = start(&bench, vec![handler], LEASE);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = Some(format!("00-{trace}-00f067aa0ba902b7-01"));
    let id = bench.enqueue(NewJob { payload: json!({"act": "trace"}), traceparent, ..bench.job("puppet") }).await;
    let seen = wait_for(&bench, id, JobState::Succeeded).await.result.unwrap();
    assert_eq!(seen["trace"], trace);
    let parent = seen["parent"].as_str().unwrap();
    assert!(parent.contains(trace) && !parent.contains("00f067aa0ba902b7"), "a span of its own: {parent}");
    worker.end().await;
}

#[tokio::test]
async fn no_more_jobs_of_a_kind_run_at_once_than_it_allows() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let mut last = None;
    for _ in 0..20 {
        last = Some(puppet(&bench, json!({"act": "sleep", "ms": 20})).await);
    }
    let worker = start(&bench, vec![handler.clone()], LEASE);
    wait_for(&bench, last.unwrap(), JobState::Succeeded).await;
    worker.end().await;
    assert_eq!((handler.begun.load(Ordering::SeqCst), handler.most_at_once.load(Ordering::SeqCst)), (20, 3));
}

#[tokio::test]
async fn a_worker_that_stops_finishes_what_it_can_and_hands_back_the_rest() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let short = puppet(&bench, json!({"act": "sleep", "ms": 150})).await;
    let long = puppet(&bench, json!({"act": "hang"})).await;
    let polite = puppet(&bench, json!({"act": "sleep", "ms": 399})).await;
    let unbegun = puppet(&bench, json!({"act": "done"})).await;
    let worker = start(&bench, vec![handler.clone()], LEASE);
    while handler.begun.load(Ordering::SeqCst) < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    worker.end().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(bench.state(short).await, Some(JobState::Succeeded));
    for id in [polite, unbegun] {
        let job = bench.store.get(bench.tenant, id).await.unwrap().unwrap();
        assert_eq!((job.state, job.attempt), (JobState::Queued, 0), "{job:?}");
    }
    assert_eq!(
        bench.state(long).await,
        Some(JobState::Queued),
        "its timeout came while it drained, or it was handed back"
    );
    let second = start(&bench, vec![handler.clone()], LEASE);
    wait_for(&bench, unbegun, JobState::Succeeded).await;
    second.end().await;
}

#[tokio::test]
async fn a_job_that_never_comes_to_an_end_does_not_take_down_every_worker() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let id = puppet(&bench, json!({"act": "done"})).await;
    for _ in 0..3 {
        let victim = bench.worker().await;
        assert_eq!(bench.claim(victim, "puppet", 1).await.len(), 1);
        bench.silence(victim).await;
        bench.queue.reap().await.unwrap();
    }
    let worker = start(&bench, vec![handler.clone()], LEASE);
    let dead = wait_for(&bench, id, JobState::Dead).await;
    assert!(dead.error.unwrap().contains("begun 3 times and never ended"));
    assert_eq!(handler.begun.load(Ordering::SeqCst), 0);
    worker.end().await;
}

#[tokio::test]
async fn a_worker_that_was_given_up_begins_anew_and_the_job_ends_once() {
    let patient = Puppet { patience: Some(Duration::from_secs(30)), ..Puppet::default() };
    let (bench, handler) = (Bench::new().await, Arc::new(patient));
    let worker = start(&bench, vec![handler.clone()], Duration::from_millis(800));
    let owner = bench.owner().await;
    let id = puppet(&bench, json!({"act": "sleep", "ms": 2_000})).await;
    wait_for(&bench, id, JobState::Running).await;
    // In one transaction, or a heartbeat might come in between.
    let mut transaction = owner.begin().await.unwrap();
    sqlx::query("UPDATE docket.job_workers SET expires_at = clock_timestamp() - interval '1 s'")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let reaped: i64 = sqlx::query_scalar("SELECT docket.reap_workers()").fetch_one(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(reaped, 1);
    let done = wait_for(&bench, id, JobState::Succeeded).await;
    assert_eq!(done.result, Some(json!({"attempt": 2})), "the first attempt's end was refused");
    worker.end().await;
}

#[tokio::test]
async fn a_running_job_is_cancelled_by_the_next_heartbeat() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let worker = start(&bench, vec![handler], Duration::from_millis(600));
    let id = puppet(&bench, json!({"act": "sleep", "ms": 390})).await;
    wait_for(&bench, id, JobState::Running).await;
    let owner = bench.owner().await;
    sqlx::query("UPDATE docket.jobs SET cancel_requested = true").execute(&owner).await.unwrap();
    wait_for(&bench, id, JobState::Cancelled).await;
    worker.end().await;
}
