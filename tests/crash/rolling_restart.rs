//! R14, its second half: the next release's migration is applied under load, then the replicas are restarted one after the
//! other. Behind a load balancer that asks `/readyz`, no request fails, whichever replica got it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::{Executor, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::client::{Client, Request};
use crate::support::commands::new_case;
use crate::support::invariants::audit_records;
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::service::Service;
use crate::support::settings::{random, rounds, seed};
use crate::support::stage::Stage;
use crate::terminated::lost_and_doubled;

/// Clients: one of three reads, the others create cases.
const CLIENTS: usize = 6;
/// How often the balancer asks each replica; far below the time for which a replica that stops goes on serving.
const ASKS_EVERY: Duration = Duration::from_millis(50);
const SETTINGS: [(&str, &str); 1] = [("DOCKET_SERVER__DRAIN_DELAY_MS", "3000")];

/// What a load balancer knows: which replicas are in.
struct Balancer {
    clients: [Client; 2],
    ready: [AtomicBool; 2],
    turn: AtomicU64,
}

impl Balancer {
    /// Asks each replica in turn, until told to stop.
    async fn ask(self: Arc<Self>, stop: CancellationToken, urls: [String; 2]) {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
        while !stop.is_cancelled() {
            for (url, ready) in urls.iter().zip(&self.ready) {
                let answer = http.get(format!("{url}/readyz")).send().await;
                ready.store(answer.is_ok_and(|answer| answer.status() == 200), Ordering::SeqCst);
            }
            tokio::time::sleep(ASKS_EVERY).await;
        }
    }

    /// A replica that is in, each as often as the other.
    fn pick(&self) -> Option<&Client> {
        let first = usize::try_from(self.turn.fetch_add(1, Ordering::Relaxed) % 2).unwrap();
        [first, 1 - first]
            .into_iter()
            .find(|place| self.ready[*place].load(Ordering::SeqCst))
            .map(|at| &self.clients[at])
    }
}

/// Sends one request after the other, each once, and wants each to succeed. Titles of what was created.
async fn ask(balancer: Arc<Balancer>, key: String, reads: bool, mut random: Random, log: Arc<Log>) {
    while !log.stop.is_cancelled() {
        let Some(client) = balancer.pick() else {
            client_of_nobody(&balancer).await;
            continue;
        };
        let marker = random.key();
        let request = if reads {
            Request::get(&key, "/v1/cases?limit=5")
        } else {
            Request::create(&key, &marker, new_case(&marker, "public"))
        };
        let answer = client.send(&request).await;
        log.sent.fetch_add(1, Ordering::Relaxed);
        let Some(answer) = answer else {
            client.findings.add(format!("a {} got no answer", request.method));
            continue;
        };
        let wanted = if reads { 200 } else { 201 };
        client.findings.expect(answer.status == wanted, || {
            format!("a {} was answered {} {}", request.method, answer.status, answer.text)
        });
        if !reads && answer.status == wanted {
            log.titles.lock().unwrap().push(answer.json()["title"].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Both are out: that is a finding, because one is always told to stay.
async fn client_of_nobody(balancer: &Balancer) {
    balancer.clients[0].findings.add("no replica was ready");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// What the clients did.
#[derive(Default)]
struct Log {
    stop: CancellationToken,
    sent: AtomicU64,
    titles: Mutex<Vec<String>>,
}

impl Log {
    /// Waits until so many more requests were answered.
    async fn answered(&self, more: u64) {
        let (from, began) = (self.sent.load(Ordering::Relaxed), Instant::now());
        while self.sent.load(Ordering::Relaxed) < from + more && began.elapsed() < Duration::from_secs(30) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// An additive migration of a release that this program knows nothing of, as its `docket migrate` would apply it.
async fn next_release(owner: &PgPool, number: u64) {
    let mut transaction = owner.begin().await.unwrap();
    let sql = format!("ALTER TABLE docket.cases ADD COLUMN next_release_{number} text NOT NULL DEFAULT 'new'");
    transaction.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    sqlx::query(
        "INSERT INTO public._sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES ($1, 'next release', true, '\\x00', 0)",
    )
    .bind(9_000 + i64::try_from(number).unwrap())
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_restarted_one_after_the_other_on_a_newer_schema_and_no_request_fails() {
    let _turn = turn().await;
    let seed = seed("R14 (rolling restart)");
    let random = random(seed);
    let (findings, stage) = (Findings::default(), Stage::start(1).await);
    let owner = stage.owner().await;
    let mut replicas = [Service::start_with(&stage, &SETTINGS).await, Service::start_with(&stage, &SETTINGS).await];
    for replica in &mut replicas {
        findings.expect(replica.wait_for("/readyz").await.is_some(), || "a replica was not ready".to_owned());
    }
    let balancer = Arc::new(Balancer {
        clients: [Client::new(&replicas[0].url, &findings), Client::new(&replicas[1].url, &findings)],
        ready: [AtomicBool::new(true), AtomicBool::new(true)],
        turn: AtomicU64::new(0),
    });
    let log = Arc::new(Log::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(balancer.clone().ask(log.stop.clone(), [replicas[0].url.clone(), replicas[1].url.clone()]));
    for number in 0..CLIENTS {
        let key = stage.tenants[0].keys[&Role::Caseworker].clone();
        tasks.spawn(ask(balancer.clone(), key, number % 3 == 0, random.part(number as u64), log.clone()));
    }
    let (mut restarts, mut migrations) = (0_u64, 0);
    for round in rounds("DOCKET_CRASH_ROLLS", 1) {
        log.answered(30).await;
        next_release(&owner, round).await;
        migrations += 1;
        // The older program goes on with the newer schema, and starts on it.
        log.answered(30).await;
        for (place, replica) in replicas.iter_mut().enumerate() {
            let (code, _) = replica.terminate().await;
            findings.expect(code == Some(0), || format!("the exit code was {code:?}"));
            let back = replica.restart().await;
            findings.expect(back.is_some(), || "a replica did not start on the newer schema".to_owned());
            if back.is_none() {
                break;
            }
            restarts += 1;
            // The balancer must have seen it before the other goes.
            let began = Instant::now();
            while !balancer.ready[place].load(Ordering::SeqCst) && began.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            log.answered(30).await;
        }
    }
    log.stop.cancel();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let (titles, sent) = (log.titles.lock().unwrap().clone(), log.sent.load(Ordering::Relaxed));
    let (lost, doubled) = lost_and_doubled(&owner, &titles).await;
    findings.expect(lost == 0, || format!("{lost} of {} acknowledged creates are missing", titles.len()));
    findings.expect(doubled == 0, || format!("{doubled} of {} creates happened twice", titles.len()));
    audit_records(&owner, &findings).await;
    Figures { writes: count(titles.len()), lost, doubled, ..Figures::default() }.note("R14 (rolling restart)");
    println!(
        "R14 (rolling restart) seed {seed}: {migrations} migrations of a newer release under load, {restarts} restarts, two \
         replicas; {}; {}",
        bounded(findings.count(), "requests failed", usize::try_from(sent).unwrap()),
        bounded(lost + doubled, "creates lost or doubled", titles.len()),
    );
    findings.assert_none();
}
