//! Two services on one database share the work. One is killed, and what it held is the other's when its leases end; one is
//! told to stop while a receiver hangs, and the other has its deliveries at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::PgPool;
use uuid::Uuid;

use crate::receiver::{Manner, Receiver};
use crate::relay_order::{judge, log_of, register, tenant_of};
use crate::support::outbox::{Pace, commit_slowly};
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, seed};
use crate::support::stage::Stage;
use crate::terminated::enqueue;

/// How long a claim on a lane lasts, and the silence after which a worker's jobs go to others.
const LEASES: [(Duration, &str); 2] = [(Duration::from_secs(5), "lanes"), (Duration::from_secs(4), "jobs")];
/// The name in figures.
const BATTERY: &str = "R4 (two services)";
/// What a slow machine may add before somebody takes over.
const SLACK: Duration = Duration::from_secs(20);
const SETTINGS: [(&str, &str); 8] = [
    ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
    ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
    ("DOCKET_WEBHOOKS__TIMEOUT_MS", "3000"),
    ("DOCKET_RELAY__LEASE_SECONDS", "5"),
    ("DOCKET_RELAY__POLL_INTERVAL_MS", "50"),
    ("DOCKET_WORKER__LEASE_MS", "4000"),
    ("DOCKET_WORKER__POLL_MS", "50"),
    ("DOCKET_WORKER__WINDOW", "16"),
];

/// So many events of a case, however late it is.
const fn all(events: u64, longest: u64) -> Pace {
    Pace { events, least: events + 1, longest }
}

/// Waits until `holds`, at most a minute; whether it did.
async fn until(holds: impl AsyncFn() -> bool) -> bool {
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(1) {
        if holds().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    false
}

/// The sum of a counter of this process over the label sets that hold all of `labels`.
async fn counted(service: &Service, name: &str, labels: &[&str]) -> f64 {
    let Ok(answer) = reqwest::get(format!("{}/metrics", service.url)).await else { return 0.0 };
    let text = answer.text().await.unwrap_or_default();
    let of_counter = |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
    text.lines().filter(of_counter).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn delivered(service: &Service) -> f64 {
    counted(service, "docket_event_delivery_attempts_total", &["sink=\"webhook\"", "outcome=\"delivered\""]).await
}

async fn ended(service: &Service) -> f64 {
    counted(service, "docket_job_attempts_total", &["kind=\"probe\"", "outcome=\"succeeded\""]).await
}

/// Claims on lanes, whoever holds them.
async fn claims(owner: &PgPool) -> HashSet<(Uuid, Uuid)> {
    let sql = "SELECT case_id, lease_token FROM docket.delivery_lanes WHERE lease_token IS NOT NULL";
    sqlx::query_as(sql).fetch_all(owner).await.unwrap().into_iter().collect()
}

/// Jobs that the process with this id holds.
async fn held_jobs(owner: &PgPool, process: u32) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM docket.jobs j JOIN docket.job_workers w ON w.id = j.worker_id WHERE w.name LIKE $1",
    )
    .bind(format!("% pid {process}"))
    .fetch_one(owner)
    .await
    .unwrap()
}

/// Waits until nothing that the dead process held is its any more: how much that was, and how long it took. A claim of the
/// living one ends within the time of a send.
async fn moved(owner: &PgPool, process: u32) -> [(usize, Duration); 2] {
    let (died, mut lanes) = (Instant::now(), claims(owner).await);
    let jobs = usize::try_from(held_jobs(owner, process).await).unwrap();
    let (mut orphans, mut lanes_took, mut jobs_took) = (0, Duration::ZERO, Duration::ZERO);
    while (!lanes.is_empty() || jobs_took.is_zero()) && died.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(25)).await;
        let now = claims(owner).await;
        lanes.retain(|claim| now.contains(claim));
        if died.elapsed() < Duration::from_millis(3_500) {
            orphans = lanes.len();
        }
        if !lanes.is_empty() {
            lanes_took = died.elapsed();
        }
        if jobs_took.is_zero() && held_jobs(owner, process).await == 0 {
            jobs_took = died.elapsed();
        }
    }
    [(orphans, lanes_took), (jobs, jobs_took)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_services_share_the_work_and_the_work_of_a_killed_one_moves_to_the_other() {
    let _turn = turn().await;
    let (mut jobs, seed) = (i64::try_from(number("DOCKET_CRASH_TAKEOVER_JOBS", 600)).unwrap(), seed(BATTERY));
    let (random, findings, stage) = (random(seed), Findings::default(), Stage::start(1).await);
    let (mut first, second) =
        (Service::start_with(&stage, &SETTINGS).await, Service::start_with(&stage, &SETTINGS).await);
    let receiver = Receiver::start().await;
    receiver.behave(Manner::Takes(Duration::from_millis(120)));
    register(&first, &stage.tenants[0].keys[&Role::Admin], &receiver).await;
    let owner = stage.owner().await;
    let tenant = tenant_of(&owner).await;
    let (cases, each) = (24, 25);
    let writers = sqlx::postgres::PgPoolOptions::new().max_connections(24).connect(&stage.owner_url()).await.unwrap();
    enqueue(&owner, jobs).await;
    let work: Vec<_> = (0..cases)
        .map(|part| {
            tokio::spawn(commit_slowly(writers.clone(), tenant, Uuid::now_v7(), all(each, 250), random.part(part)))
        })
        .collect();
    for (number, service) in [&first, &second].into_iter().enumerate() {
        let works = until(async || delivered(service).await >= 10.0 && ended(service).await >= 10.0).await;
        findings.expect(works, || format!("service {number} got no part of the work"));
    }
    let shares = [delivered(&first).await, delivered(&second).await, ended(&first).await, ended(&second).await];
    // A moment at which it holds something; a machine that was done with the jobs gets more.
    while held_jobs(&owner, first.id()).await == 0 {
        enqueue(&owner, 50).await;
        jobs += 50;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    first.kill();
    let moved = moved(&owner, first.id()).await;
    for ((held, took), (lease, what)) in moved.iter().zip(LEASES) {
        findings.expect(*took < lease + SLACK, || format!("{held} {what} moved only after {took:?}"));
    }
    for writer in work {
        writer.await.unwrap();
    }
    let emitted = cases * each;
    let distinct = || log_of(&receiver).iter().map(|(case, sequence, _)| (*case, *sequence)).collect::<HashSet<_>>();
    until(async || u64::try_from(distinct().len()).unwrap() == emitted).await;
    let succeeded = async || -> i64 {
        let sql = "SELECT count(*) FROM docket.finished_jobs WHERE kind = 'probe' AND state = 'succeeded'";
        sqlx::query_scalar(sql).fetch_one(&owner).await.unwrap()
    };
    until(async || succeeded().await == jobs).await;
    let lost_jobs = jobs - succeeded().await;
    findings.expect(lost_jobs == 0, || format!("{lost_jobs} of {jobs} jobs did not end well"));
    let (missed, reordered, doubled) = judge(&log_of(&receiver), emitted, &findings);
    let figures =
        Figures { kills: 1, jobs: count(jobs), events: emitted, lost: missed + count(lost_jobs), ..Figures::default() };
    Figures { reordered, ..figures }.note(BATTERY);
    let [(lanes, lanes_took), (held, jobs_took)] = moved;
    let trials = usize::try_from(emitted).unwrap();
    println!(
        "{BATTERY} seed {seed}: {} and {} events, {} and {} jobs when one was killed; its {lanes} lanes moved after \
         {lanes_took:.1?} (lease 5 s), its {held} jobs after {jobs_took:.1?} (lease 4 s); {}; {}; {}; {doubled} sent twice \
         under their own id",
        shares[0],
        shares[1],
        shares[2],
        shares[3],
        bounded(missed, "events lost", trials),
        bounded(reordered, "reordered", trials),
        bounded(lost_jobs, "jobs lost", usize::try_from(jobs).unwrap())
    );
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_told_to_stop_while_a_receiver_hangs_hands_its_deliveries_to_the_other() {
    let _turn = turn().await;
    let random = random(seed("R14 (a receiver hangs)"));
    let (findings, stage, receiver) = (Findings::default(), Stage::start(1).await, Receiver::start().await);
    // Neither the patience with a receiver nor the lease of a claim would let anybody else have them for minutes.
    let settings = [
        ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
        ("DOCKET_WEBHOOKS__TIMEOUT_MS", "120000"),
        ("DOCKET_RELAY__LEASE_SECONDS", "600"),
    ];
    let mut first = Service::start_with(&stage, &settings).await;
    register(&first, &stage.tenants[0].keys[&Role::Admin], &receiver).await;
    receiver.behave(Manner::Hangs);
    let owner = stage.owner().await;
    let tenant = tenant_of(&owner).await;
    for part in 0..5 {
        commit_slowly(owner.clone(), tenant, Uuid::now_v7(), all(2, 1), random.part(part)).await;
    }
    receiver.wait_for(5).await;
    let second = Service::start_with(&stage, &settings).await;
    receiver.behave(Manner::Says(204, "", ""));
    let (code, took) = first.terminate().await;
    let (gone, mut delivered) = (Instant::now(), Vec::new());
    while delivered.len() < 10 && gone.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        delivered = log_of(&receiver).split_off(5);
    }
    let moved = gone.elapsed();
    findings.expect(code == Some(0), || format!("the exit code was {code:?}"));
    findings.expect(took < Duration::from_secs(10), || format!("the exit took {took:?}"));
    findings.expect(delivered.len() == 10, || format!("{} of 10 events were delivered by the other", delivered.len()));
    let (lost, reordered, _) = judge(&delivered, 10, &findings);
    Figures { events: 10, lost, reordered, ..Figures::default() }.note("R14 (a receiver hangs)");
    println!(
        "R14 (a receiver hangs): exit {took:.1?} after SIGTERM, 5 cases handed over, all 10 events delivered by the other \
         {moved:.1?} after it (lease 600 s); {reordered} reordered"
    );
    findings.assert_none();
    drop(second);
}
