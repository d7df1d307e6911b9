//! R4, R5, R13: workers killed, frozen and with wrong clocks. No job is lost, and its effect in the database happens once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

use crate::job_worker::{LEASE, WorkerProcess, notes};
use crate::support::random::Random;
use crate::support::report::{Findings, bounded, turn};
use crate::support::settings::{number, random, seed};
use crate::support::stage::Stage;

/// Writes waiting jobs past the service, a part of them with an effect in the database; how many.
async fn enqueue(owner: &PgPool, jobs: u64, longest_ms: u64) -> u64 {
    let done = sqlx::query(
        "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
         SELECT t.id, gen_random_uuid(), CASE WHEN n % 4 = 0 THEN 'plain' ELSE 'effect' END,
                json_build_object('ms', (random() * $2)::int), 3, 3, clock_timestamp(),
                '00000000-0000-0000-0000-000000000000', clock_timestamp()
         FROM generate_series(1, $1) n,
              LATERAL (SELECT id FROM docket.tenants WHERE name LIKE 'tenant-%' ORDER BY (n % 2 = 0) = (name = 'tenant-0')
                       LIMIT 1) t",
    )
    .bind(i64::try_from(jobs).unwrap())
    .bind(f64::from(u32::try_from(longest_ms).unwrap()))
    .execute(owner)
    .await
    .unwrap();
    done.rows_affected()
}

async fn waiting(owner: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM docket.jobs").fetch_one(owner).await.unwrap()
}

/// Waits until no job waits or runs.
async fn drained(owner: &PgPool, within: Duration, findings: &Findings) {
    let began = Instant::now();
    while waiting(owner).await > 0 {
        if began.elapsed() > within {
            let stuck = waiting(owner).await;
            findings.add(format!("{stuck} jobs still wait or run after {within:?}"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Effects by job, and the jobs that ended badly.
struct Outcome {
    doubled: usize,
    cases: usize,
    dead: i64,
    /// Attempts by job.
    attempts: HashMap<Uuid, usize>,
}

async fn outcome(stage: &Stage, owner: &PgPool) -> Outcome {
    let effects: Vec<(String, i64)> =
        sqlx::query_as("SELECT title, count(*) FROM docket.cases WHERE case_type = 'battery' GROUP BY title")
            .fetch_all(owner)
            .await
            .unwrap();
    let dead = sqlx::query_scalar("SELECT count(*) FROM docket.finished_jobs").fetch_one(owner).await.unwrap();
    let mut attempts = HashMap::new();
    for line in std::fs::read_to_string(notes(stage)).unwrap_or_default().lines() {
        let mut words = line.split(' ');
        let (Some(job), Some(_), Some("begun")) = (words.next(), words.next(), words.next()) else { continue };
        *attempts.entry(job.parse().unwrap()).or_default() += 1;
    }
    let doubled = effects.iter().filter(|(_, count)| *count > 1).count();
    Outcome { doubled, cases: effects.len(), dead, attempts }
}

/// Holds the outcome against what was enqueued: three of four jobs have an effect, and all of them were run.
fn judge(outcome: &Outcome, jobs: u64, findings: &Findings) -> usize {
    let jobs = usize::try_from(jobs).unwrap();
    let lost = jobs - outcome.attempts.len() + (jobs - jobs / 4) - outcome.cases;
    findings.expect(outcome.doubled == 0, || format!("{} effects happened more than once", outcome.doubled));
    findings.expect(lost == 0, || format!("{lost} jobs or effects are missing"));
    findings.expect(outcome.dead == 0, || format!("{} jobs were given up", outcome.dead));
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_lost_and_every_effect_happens_once_when_workers_are_killed() {
    let _turn = turn().await;
    let (kills, seed) = (number("DOCKET_CRASH_KILLS", 10), seed());
    let jobs = number("DOCKET_CRASH_JOBS", kills * 60);
    let mut random: Random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    enqueue(&owner, jobs, 60).await;
    let mut workers: Vec<WorkerProcess> = (0..3).map(|_| WorkerProcess::start(&stage, 0)).collect();
    let longest = if kills > 50 { 2_000 } else { 600 };
    for _ in 0..kills {
        tokio::time::sleep(random.millis(200, longest)).await;
        let victim = random.below(workers.len());
        workers[victim].kill_and_restart();
    }
    drained(&owner, Duration::from_mins(2) + Duration::from_millis(jobs * 5), &findings).await;
    let outcome = outcome(&stage, &owner).await;
    let lost = judge(&outcome, jobs, &findings);
    let again: usize = outcome.attempts.values().map(|count| count - 1).sum();
    let jobs = usize::try_from(jobs).unwrap();
    println!(
        "R4 seed {seed}: {kills} kills, 3 workers; {}; {}; {again} attempts were made again, each under the same job id",
        bounded(lost, "lost", jobs),
        bounded(outcome.doubled, "effects doubled", outcome.cases)
    );
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_past_its_lease_ends_no_job_twice() {
    let _turn = turn().await;
    let (trials, seed) = (number("DOCKET_CRASH_FREEZES", 5), seed());
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    let workers = [WorkerProcess::start(&stage, 0), WorkerProcess::start(&stage, 0)];
    let (mut jobs, mut overtaken) = (0, 0);
    for _ in 0..trials {
        jobs += enqueue(&owner, 80, 150).await;
        tokio::time::sleep(random.millis(50, 350)).await;
        let victim = &workers[random.below(2)];
        victim.freeze();
        tokio::time::sleep(LEASE * 3 / 2 + random.millis(0, 400)).await;
        let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.jobs WHERE lane = 0 OR attempt > 1")
            .fetch_one(&owner)
            .await
            .unwrap();
        overtaken += taken;
        victim.thaw();
        drained(&owner, Duration::from_mins(1), &findings).await;
    }
    let outcome = outcome(&stage, &owner).await;
    judge(&outcome, jobs, &findings);
    let again: usize = outcome.attempts.values().map(|count| count - 1).sum();
    findings.expect(again > 0, || "no worker was overtaken: the battery tried nothing".to_owned());
    println!(
        "R5 seed {seed}: {trials} freezes past the lease; {}; {again} jobs were taken over ({overtaken} seen waiting)",
        bounded(outcome.doubled, "double completions", usize::try_from(jobs).unwrap()),
    );
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_wrong_by_an_hour_end_no_lease_early_and_give_no_job_twice() {
    let _turn = turn().await;
    let (jobs, seed) = (number("DOCKET_CRASH_CLOCK_JOBS", 600), seed());
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    let _workers: Vec<WorkerProcess> =
        [-3_600, 3_600, 0].into_iter().map(|shift| WorkerProcess::start(&stage, shift)).collect();
    enqueue(&owner, jobs, 400).await;
    drained(&owner, Duration::from_mins(2) + Duration::from_millis(jobs * 20), &findings).await;
    let outcome = outcome(&stage, &owner).await;
    judge(&outcome, jobs, &findings);
    let twice = outcome.attempts.values().filter(|count| **count > 1).count();
    findings.expect(twice == 0, || format!("{twice} jobs were given to more than one worker: a lease ended early"));
    let jobs = usize::try_from(jobs).unwrap();
    println!(
        "R13 seed {seed}: three workers an hour behind, an hour ahead and right; {}; {}",
        bounded(twice, "jobs given twice", jobs),
        bounded(outcome.doubled, "effects doubled", outcome.cases)
    );
    findings.assert_none();
}
