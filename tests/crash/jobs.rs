//! R4, R5, R13: workers killed, frozen and with wrong clocks. No job is lost, and its effect in the database happens once.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sqlx::PgPool;
use uuid::Uuid;

use crate::job_worker::{LEASE, PLACES, WorkerProcess, notes};
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::settings::{number, random, rounds, seed};
use crate::support::stage::Stage;

/// The jobs that were enqueued.
#[derive(Default)]
struct Enqueued {
    /// Those with an effect in the database.
    effects: HashSet<Uuid>,
    /// Those that only note in a file that they ran.
    plain: HashSet<Uuid>,
}

impl Enqueued {
    fn len(&self) -> usize {
        self.effects.len() + self.plain.len()
    }

    /// Writes waiting jobs past the service, three of four with an effect in the database.
    async fn add(&mut self, owner: &PgPool, jobs: u64, longest_ms: u64) {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
             SELECT t.id, gen_random_uuid(), CASE WHEN n % 4 = 0 THEN 'plain' ELSE 'effect' END,
                    json_build_object('ms', (random() * $2)::int), 3, 3, clock_timestamp(),
                    '00000000-0000-0000-0000-000000000000', clock_timestamp()
             FROM generate_series(1, $1) n,
                  LATERAL (SELECT id FROM docket.tenants WHERE name LIKE 'tenant-%'
                           ORDER BY (n % 2 = 0) = (name = 'tenant-0') LIMIT 1) t
             RETURNING id, kind",
        )
        .bind(i64::try_from(jobs).unwrap())
        .bind(f64::from(u32::try_from(longest_ms).unwrap()))
        .fetch_all(owner)
        .await
        .unwrap();
        for (id, kind) in rows {
            if kind == "plain" { &mut self.plain } else { &mut self.effects }.insert(id);
        }
    }
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

/// What became of the jobs.
struct Outcome {
    /// Jobs with more than one effect.
    doubled: usize,
    /// Jobs with an effect.
    effects: HashSet<Uuid>,
    /// Jobs that an attempt brought to its end.
    done: HashSet<Uuid>,
    dead: i64,
    /// Attempts by job.
    attempts: HashMap<Uuid, usize>,
}

impl Outcome {
    async fn read(stage: &Stage, owner: &PgPool) -> Self {
        let effects: Vec<(String, i64)> =
            sqlx::query_as("SELECT title, count(*) FROM docket.cases WHERE case_type = 'battery' GROUP BY title")
                .fetch_all(owner)
                .await
                .unwrap();
        let dead = sqlx::query_scalar("SELECT count(*) FROM docket.finished_jobs").fetch_one(owner).await.unwrap();
        let (mut attempts, mut done) = (HashMap::new(), HashSet::new());
        for line in std::fs::read_to_string(notes(stage)).unwrap_or_default().lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some(job), Some(_), Some("begun")) => *attempts.entry(job.parse().unwrap()).or_default() += 1,
                (Some(job), Some(_), Some("done")) => {
                    done.insert(job.parse().unwrap());
                }
                _ => {}
            }
        }
        let doubled = effects.iter().filter(|(_, count)| *count > 1).count();
        Self {
            doubled,
            effects: effects.iter().map(|(title, _)| title.parse().unwrap()).collect(),
            done,
            dead,
            attempts,
        }
    }

    /// Holds the outcome against what was enqueued: a job that only began is lost, whatever it noted; how many are.
    fn judge(&self, enqueued: &Enqueued, findings: &Findings) -> usize {
        let without_effect = enqueued.effects.difference(&self.effects).count();
        let never_done = enqueued.plain.difference(&self.done).count();
        findings.expect(self.doubled == 0, || format!("{} effects happened more than once", self.doubled));
        findings.expect(without_effect == 0, || format!("{without_effect} jobs ended without their effect"));
        findings.expect(never_done == 0, || format!("{never_done} jobs without an effect were never done"));
        findings.expect(self.dead == 0, || format!("{} jobs were given up", self.dead));
        without_effect + never_done
    }

    /// Attempts beyond the first of a job.
    fn again(&self) -> usize {
        self.attempts.values().map(|count| count - 1).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_lost_and_every_effect_happens_once_when_workers_are_killed() {
    let _turn = turn().await;
    let (wanted, seed) = (number("DOCKET_CRASH_KILLS", 10), seed("R4"));
    let each = (number("DOCKET_CRASH_JOBS", wanted * 60) / wanted).max(8);
    let mut random: Random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    let mut workers: Vec<WorkerProcess> = (0..3).map(|_| WorkerProcess::start(&stage, 0)).collect();
    let longest = if wanted > 50 { 2_000 } else { 600 };
    // Jobs come in step with the kills, and those of one step keep all workers busy for half of the time to the next kill.
    let longest_job = (longest + 200) * 2 * u64::from(PLACES) / each;
    let (mut enqueued, mut kills) = (Enqueued::default(), 0);
    for _ in rounds("DOCKET_CRASH_KILLS", 10) {
        enqueued.add(&owner, each, longest_job).await;
        tokio::time::sleep(random.millis(200, longest)).await;
        let victim = random.below(workers.len());
        workers[victim].kill_and_restart();
        kills += 1;
    }
    let jobs = enqueued.len();
    let patience = Duration::from_mins(2) + Duration::from_millis(5 * count(jobs));
    drained(&owner, patience, &findings).await;
    let outcome = Outcome::read(&stage, &owner).await;
    let lost = outcome.judge(&enqueued, &findings);
    let again = outcome.again();
    findings
        .expect(again > 0, || "no job was running when its worker was killed: the battery tried nothing".to_owned());
    println!(
        "R4 seed {seed}: {kills} kills, 3 workers; {}; {}; {again} attempts were made again, each under the same job id",
        bounded(lost, "lost", jobs),
        bounded(outcome.doubled, "effects doubled", outcome.effects.len())
    );
    let (jobs, lost, doubled) = (count(jobs), count(lost), count(outcome.doubled));
    Figures { kills, jobs, lost, doubled, ..Figures::default() }.note("R4");
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_frozen_past_its_lease_ends_no_job_twice() {
    let _turn = turn().await;
    let seed = seed("R5");
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    let workers = [WorkerProcess::start(&stage, 0), WorkerProcess::start(&stage, 0)];
    let (mut enqueued, mut overtaken, mut trials) = (Enqueued::default(), 0, 0);
    for _ in rounds("DOCKET_CRASH_FREEZES", 5) {
        trials += 1;
        enqueued.add(&owner, 80, 150).await;
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
    let outcome = Outcome::read(&stage, &owner).await;
    let (jobs, lost) = (enqueued.len(), outcome.judge(&enqueued, &findings));
    let again = outcome.again();
    findings.expect(again > 0, || "no worker was overtaken: the battery tried nothing".to_owned());
    println!(
        "R5 seed {seed}: {trials} freezes past the lease; {}; {again} jobs were taken over ({overtaken} seen waiting)",
        bounded(outcome.doubled, "double completions", jobs),
    );
    let (jobs, lost, doubled) = (count(jobs), count(lost), count(outcome.doubled));
    Figures { jobs, lost, doubled, ..Figures::default() }.note("R5");
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_wrong_by_an_hour_end_no_lease_early_and_give_no_job_twice() {
    let _turn = turn().await;
    let (jobs, seed) = (number("DOCKET_CRASH_CLOCK_JOBS", 600), seed("R13"));
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let owner = stage.owner().await;
    let _workers: Vec<WorkerProcess> =
        [-3_600, 3_600, 0].into_iter().map(|shift| WorkerProcess::start(&stage, shift)).collect();
    let mut enqueued = Enqueued::default();
    enqueued.add(&owner, jobs, 400).await;
    drained(&owner, Duration::from_mins(2) + Duration::from_millis(jobs * 20), &findings).await;
    let outcome = Outcome::read(&stage, &owner).await;
    let lost = outcome.judge(&enqueued, &findings);
    let twice = outcome.attempts.values().filter(|count| **count > 1).count();
    findings.expect(twice == 0, || format!("{twice} jobs were given to more than one worker: a lease ended early"));
    let trials = enqueued.len();
    let doubled = count(outcome.doubled);
    Figures { jobs, lost: count(lost), doubled, ..Figures::default() }.note("R13");
    println!(
        "R13 seed {seed}: three workers an hour behind, an hour ahead and right; {}; {}",
        bounded(twice, "jobs given twice", trials),
        bounded(outcome.doubled, "effects doubled", outcome.effects.len())
    );
    findings.assert_none();
}
