//! R14: SIGTERM under load, over and over, with a second replica beside. Nothing in flight fails, and the work goes on.
//!
//! What is in flight is known, not guessed: before the signal the table of cases is locked until every client's request is
//! seen waiting for it inside the service, and it is unlocked after the signal.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::support::client::{Answer, Client, Request};
use crate::support::commands::new_case;
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::service::Service;
use crate::support::settings::{random, rounds, seed};
use crate::support::stage::Stage;

/// Clients of each stop: one of three reads, the others create cases.
const CLIENTS: usize = 12;

/// What the clients of one stop share.
#[derive(Default)]
struct Stop {
    /// When the replica was told to stop.
    signal: OnceLock<Instant>,
    /// Creates that were acknowledged.
    created: Mutex<Vec<(Request, Answer)>>,
    /// Requests that had begun before the signal and were answered after it.
    in_flight: Mutex<usize>,
}

/// Requests of one client to one replica until that is told to stop: each that began before is answered, and well.
async fn ask(client: Client, key: String, reads: bool, mut random: Random, stop: Arc<Stop>) {
    while stop.signal.get().is_none() {
        let marker = random.key();
        let request = if reads {
            Request::get(&key, "/v1/cases?limit=5")
        } else {
            Request::create(&key, &marker, new_case(&marker, "public"))
        };
        let began = Instant::now();
        let answer = client.send(&request).await;
        let signal = stop.signal.get();
        if signal.is_some_and(|signal| began >= *signal) {
            // Begun when the replica was already going: it may refuse.
            return;
        }
        let when = if signal.is_some() { "in flight at the signal" } else { "before the signal" };
        let Some(answer) = answer else {
            return client.findings.add(format!("a {} {when} got no answer", request.method));
        };
        let wanted = if reads { 200 } else { 201 };
        client.findings.expect(answer.status == wanted, || {
            format!("a {} {when} was answered {} {}", request.method, answer.status, answer.text)
        });
        *stop.in_flight.lock().unwrap() += usize::from(signal.is_some());
        if !reads && answer.status == wanted {
            stop.created.lock().unwrap().push((request, answer));
        }
    }
}

/// Waits until every client's request waits for the table inside the service, at two looks in a row.
async fn all_in_flight(owner: &PgPool, findings: &Findings) {
    let (began, mut before) = (Instant::now(), 0);
    let mut seen = 0;
    while began.elapsed() < Duration::from_secs(20) {
        let sql = "SELECT count(*) FROM pg_locks WHERE relation = 'docket.cases'::regclass AND NOT granted";
        let waiting: i64 = sqlx::query_scalar(sql).fetch_one(owner).await.unwrap();
        seen = usize::try_from(waiting).unwrap();
        if seen >= CLIENTS && before >= CLIENTS {
            return;
        }
        before = seen;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    findings.add(format!("only {seen} of {CLIENTS} requests were on their way: the battery tried too little"));
}

pub async fn enqueue(owner: &PgPool, jobs: i64) {
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
    owner: &PgPool,
    random: &mut Random,
    findings: &Findings,
) -> (Arc<Stop>, Duration) {
    let (stop, client) = (Arc::new(Stop::default()), Client::new(&victim.url, findings));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        // A stream of its own for each client of each stop: the marks of its cases are unique.
        let stream = random.part(number as u64);
        clients.spawn(ask(client.clone(), key.to_owned(), number % 3 == 0, stream, stop.clone()));
    }
    tokio::time::sleep(random.millis(300, 900)).await;
    let mut blocker = owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE docket.cases IN ACCESS EXCLUSIVE MODE").execute(&mut *blocker).await.unwrap();
    all_in_flight(owner, findings).await;
    stop.signal.set(Instant::now()).unwrap();
    let pause = random.millis(0, 500);
    let unblock = async {
        tokio::time::sleep(pause).await;
        blocker.rollback().await.unwrap();
    };
    let ((code, took), ()) = tokio::join!(victim.terminate(), unblock);
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    findings.expect(code == Some(0), || format!("the exit code was {code:?}"));
    findings.expect(took < Duration::from_secs(10), || format!("the exit took {took:?}"));
    (stop, took)
}

/// What was created at a replica that is gone is known at the other: the same requests get the same bytes.
async fn replay(stop: &Stop, other: &Client) {
    let created = stop.created.lock().unwrap().clone();
    for (request, answer) in created.iter().rev().take(CLIENTS) {
        let Some(again) = other.deliver(request).await else { continue };
        other.findings.expect(again.replayed && again.text == answer.text && again.status == answer.status, || {
            format!("the other replica answers a repeated create with {again:?}")
        });
    }
}

/// Cases by title, and so by the mark of their create: lost and doubled ones.
pub async fn lost_and_doubled(owner: &PgPool, titles: &[String]) -> (u64, u64) {
    let sql = "SELECT count(*) FILTER (WHERE cases = 0), count(*) FILTER (WHERE cases > 1)
               FROM (SELECT count(c.id) AS cases FROM unnest($1::text[]) t LEFT JOIN docket.cases c ON c.title = t
                     GROUP BY t) found";
    let (lost, doubled): (i64, i64) = sqlx::query_as(sql).bind(titles).fetch_one(owner).await.unwrap();
    (count(lost), count(doubled))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_told_to_stop_fails_nothing_and_the_other_goes_on() {
    let _turn = turn().await;
    let seed = seed("R14");
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let owner = stage.owner().await;
    let settings = [("DOCKET_WORKER__POLL_MS", "50")];
    let mut replicas = [Service::start_with(&stage, &settings).await, Service::start_with(&stage, &settings).await];
    let key = &stage.tenants[0].keys[&Role::Caseworker];
    let (mut titles, mut in_flight) = (Vec::new(), 0);
    let (mut jobs, mut slowest, mut stops) = (0_i64, Duration::ZERO, 0);
    for stop in rounds("DOCKET_CRASH_TERMS", 4) {
        enqueue(&owner, 120).await;
        jobs += 120;
        stops += 1;
        let place = usize::try_from(stop % 2).unwrap();
        let other = Client::new(&replicas[1 - place].url, &findings);
        let victim = &mut replicas[place];
        let (stop, took) = one_stop(victim, key, &owner, &mut random, &findings).await;
        slowest = slowest.max(took);
        replay(&stop, &other).await;
        in_flight += *stop.in_flight.lock().unwrap();
        let title = |answer: &Answer| answer.json()["title"].as_str().unwrap().to_owned();
        titles.extend(stop.created.lock().unwrap().iter().map(|(_, answer)| title(answer)));
        findings.expect(victim.restart().await.is_some(), || "the replica did not come back".to_owned());
    }
    let (lost, doubled) = lost_and_doubled(&owner, &titles).await;
    findings.expect(lost == 0, || format!("{lost} of {} acknowledged creates are missing", titles.len()));
    findings.expect(doubled == 0, || format!("{doubled} of {} creates happened twice", titles.len()));
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
    println!(
        "R14 seed {seed}: {stops} SIGTERMs, two replicas; {}; {}; {}; slowest exit {slowest:.1?}",
        bounded(findings.count(), "failed in flight", in_flight),
        bounded(lost + doubled, "creates lost or doubled", titles.len()),
        bounded(jobs - ended, "jobs lost", usize::try_from(jobs).unwrap())
    );
    let lost = lost + count(jobs - ended);
    Figures { writes: count(titles.len()), jobs: count(jobs), lost, doubled, ..Figures::default() }.note("R14");
    findings.assert_none();
}
