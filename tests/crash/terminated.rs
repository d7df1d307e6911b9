//! R14: SIGTERM under load, over and over, with a second replica beside. Nothing in flight fails, and the work goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::support::random::Random;
use crate::support::report::{Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, seed};
use crate::support::stage::Stage;

/// Requests of one client to one replica, until it is told that the replica is going.
async fn ask(url: String, key: String, going: Arc<AtomicBool>, answered: Arc<AtomicUsize>, findings: Findings) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(15)).build().unwrap();
    while !going.load(Ordering::SeqCst) {
        let sent = client.get(format!("{url}/v1/cases?limit=5")).bearer_auth(&key).send().await;
        // A request that was on its way when the signal came must be answered; one begun after it may be refused.
        match sent {
            Ok(answer) if answer.status() == 200 => {
                let whole = answer.bytes().await;
                findings.expect(whole.is_ok(), || format!("an answer was cut: {whole:?}"));
                answered.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) => findings.add(format!("a request in flight was answered {}", answer.status())),
            Err(error) => {
                findings.expect(going.load(Ordering::SeqCst), || format!("a request in flight failed: {error}"));
            }
        }
    }
}

async fn enqueue(owner: &PgPool, jobs: i64) {
    sqlx::query(
        "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
         SELECT (SELECT id FROM docket.tenants WHERE name = 'tenant-0'), gen_random_uuid(), 'probe',
                json_build_object('sleep_ms', (random() * 300)::int), 3, 3, clock_timestamp(),
                '00000000-0000-0000-0000-000000000000', clock_timestamp()
         FROM generate_series(1, $1)",
    )
    .bind(jobs)
    .execute(owner)
    .await
    .unwrap();
}

async fn one_stop(
    victim: &mut Service,
    key: &str,
    random: &mut Random,
    answered: &Arc<AtomicUsize>,
    findings: &Findings,
) -> Duration {
    let going = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        clients.spawn(ask(victim.url.clone(), key.to_owned(), going.clone(), answered.clone(), findings.clone()));
    }
    tokio::time::sleep(random.millis(300, 900)).await;
    // From here on a refused request counts as begun after the signal; those on their way are still judged.
    going.store(true, Ordering::SeqCst);
    let (code, took) = victim.terminate().await;
    while clients.join_next().await.is_some() {}
    findings.expect(code == Some(0), || format!("the exit code was {code:?}"));
    findings.expect(took < Duration::from_secs(10), || format!("the exit took {took:?}"));
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_told_to_stop_fails_nothing_and_the_other_goes_on() {
    let _turn = turn().await;
    let (stops, seed) = (number("DOCKET_CRASH_TERMS", 4), seed());
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let owner = stage.owner().await;
    let settings = [("DOCKET_WORKER__POLL_MS", "50")];
    let mut replicas = [Service::start_with(&stage, &settings).await, Service::start_with(&stage, &settings).await];
    let key = &stage.tenants[0].keys[&Role::Supervisor];
    let answered = Arc::new(AtomicUsize::new(0));
    let (mut jobs, mut slowest) = (0_i64, Duration::ZERO);
    for stop in 0..stops {
        enqueue(&owner, 120).await;
        jobs += 120;
        let victim = &mut replicas[usize::try_from(stop % 2).unwrap()];
        slowest = slowest.max(one_stop(victim, key, &mut random, &answered, &findings).await);
        findings.expect(victim.restart().await.is_some(), || "the replica did not come back".to_owned());
    }
    let began = Instant::now();
    let left = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM docket.jobs WHERE kind = 'probe'").fetch_one(&owner).await.unwrap()
    };
    while left().await > 0 && began.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (ended, again): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE attempt > 1)
         FROM docket.finished_jobs WHERE kind = 'probe'",
    )
    .fetch_one(&owner)
    .await
    .unwrap();
    findings.expect(ended == jobs, || format!("{ended} of {jobs} jobs ended well"));
    findings.expect(again == 0, || format!("{again} jobs lost an attempt to a stop"));
    let requests = answered.load(Ordering::SeqCst);
    println!(
        "R14 seed {seed}: {stops} SIGTERMs, two replicas; {}; {}; slowest exit {slowest:.1?}",
        bounded(findings.count(), "failed in flight", requests),
        bounded(jobs - ended, "jobs lost", usize::try_from(jobs).unwrap())
    );
    findings.assert_none();
}
