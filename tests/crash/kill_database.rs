//! R2 and R3: PostgreSQL is stopped like in a power failure, and its backends are terminated, while clients write.

use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::Executor;

use crate::kill_service::replay;
use crate::support::client::{Client, Request};
use crate::support::commands::new_case;
use crate::support::invariants;
use crate::support::ledger::{Entry, Ledger};
use crate::support::load::Load;
use crate::support::questions::Questions;
use crate::support::report::{Figures, Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{may_begin, number, random, rounds, seed};
use crate::support::stage::Stage;
use crate::support::surroundings::{SETTINGS, Surroundings};

/// How long the service may need to write again after the database is back.
const RECONNECT: Duration = Duration::from_secs(5);
/// How long it may need to write 95 % of what it wrote before.
const RECOVER: Duration = Duration::from_secs(15);
/// How long the short form of R3 goes on.
const SECONDS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_postgresql_is_stopped_at_once() {
    let _turn = turn().await;
    let (mut stops, seed) = (0, seed("R2"));
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let mut service = Service::start_with(&stage, &SETTINGS).await;
    let around = Surroundings::begin(&stage, &service).await;
    let client = Client::new(&service.url, &findings);
    let questions = Questions::start(&client, &stage, &random).await;
    let load = Load::start(&client, &stage.tenants, 8, &random);
    let (mut slowest, mut longest) = (Duration::ZERO, Duration::ZERO);
    for _ in rounds("DOCKET_CRASH_STOPS", 3) {
        stops += 1;
        let ordinary = writes_a_second(&load.ledger, random.millis(300, 1_500)).await;
        stage.server.kill_immediate().await.unwrap();
        read_without_database(&client, &stage).await;
        stage.server.restart().await.unwrap();
        let back = Instant::now();
        create(&client, &stage, &load.ledger, &random.key()).await;
        slowest = slowest.max(back.elapsed());
        while writes_a_second(&load.ledger, Duration::from_millis(500)).await < 0.95 * ordinary
            && back.elapsed() < RECOVER
        {}
        longest = longest.max(back.elapsed());
        findings.expect(service.is_alive(), || "the service died with its database".to_owned());
    }
    let ledger = load.finish().await;
    let owner = stage.owner().await;
    let answers = questions.finish(&owner).await;
    let checked = invariants::check(&owner, &ledger, &around, &findings).await;
    let answered = answers.check(&owner, &findings).await;
    replay(&client, &ledger, &owner, &mut random).await;
    println!(
        "R2 seed {seed}: PostgreSQL stopped {stops} times; {}; wrote again {slowest:.1?} after it was back at worst \
         (goal 5 s), at 95 % of the rate before after {longest:.1?} (goal 15 s); {answered}; {}",
        checked.words(),
        client.tally.words(),
    );
    Figures { kills: stops, ..checked.figures() }.note("R2");
    findings.expect(slowest < RECONNECT, || format!("the service needed {slowest:?} to write again"));
    findings.expect(longest < RECOVER, || format!("after {longest:?} the service did not write as much as before"));
    findings.assert_none();
}

/// How many writes a second were answered for good within this time.
async fn writes_a_second(ledger: &Ledger, time: Duration) -> f64 {
    let (before, began) = (ledger.acknowledged(), Instant::now());
    tokio::time::sleep(time).await;
    f64::from(u32::try_from(ledger.acknowledged() - before).unwrap()) / began.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_wrong_while_backends_are_terminated() {
    let _turn = turn().await;
    let (seconds, seed) = (number("DOCKET_CRASH_SECONDS", SECONDS), seed("R3"));
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let mut service = Service::start_with(&stage, &SETTINGS).await;
    let around = Surroundings::begin(&stage, &service).await;
    let client = Client::new(&service.url, &findings);
    let questions = Questions::start(&client, &stage, &random).await;
    let load = Load::start(&client, &stage.tenants, 8, &random);
    let owner = stage.owner().await;
    let (started, mut terminated) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) && may_begin(started.elapsed().as_secs(), SECONDS) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'docket'";
        terminated += owner.fetch_all(sql).await.unwrap().len();
    }
    let (quiet, seconds) = (Instant::now(), started.elapsed().as_secs());
    create(&client, &stage, &load.ledger, &random.key()).await;
    let recovery = quiet.elapsed();
    let ledger = load.finish().await;
    let answers = questions.finish(&owner).await;
    let checked = invariants::check(&owner, &ledger, &around, &findings).await;
    let answered = answers.check(&owner, &findings).await;
    replay(&client, &ledger, &owner, &mut random).await;
    println!(
        "R3 seed {seed}: {terminated} backends terminated in {seconds} s; {}; {}; recovered in {recovery:.1?} (goal 10 s); \
         {answered}; {}",
        bounded(findings.count(), "wrong answers", checked.acknowledged),
        checked.words(),
        client.tally.words(),
    );
    checked.figures().note("R3");
    findings.expect(service.is_alive(), || "the service died with its backends".to_owned());
    findings.expect(recovery < Duration::from_secs(10), || format!("recovered only after {recovery:?}"));
    findings.assert_none();
}

/// While there is no database, a read is answered 503 with Retry-After, and the process says that it lives.
async fn read_without_database(client: &Client, stage: &Stage) {
    let api_key = stage.tenants[0].keys[&Role::Auditor].clone();
    for path in ["/v1/cases", "/v1/cases/00000000-0000-7000-8000-000000000000"] {
        let request = Request::get(&api_key, path);
        match client.send(&request).await {
            Some(answer) => client.findings.expect(answer.status == 503 && !answer.retry_after.is_empty(), || {
                format!("without a database, {} was answered {} {}", request.path, answer.status, answer.text)
            }),
            None => client.findings.add(format!("without a database, {} was not answered", request.path)),
        }
    }
    let alive = client.send(&Request::get(&api_key, "/healthz")).await.is_some_and(|answer| answer.status == 200);
    client.findings.expect(alive, || "without a database, /healthz does not answer 200".to_owned());
}

/// Creates a case, however long it takes, and enters it into the ledger.
async fn create(client: &Client, stage: &Stage, ledger: &Ledger, marker: &str) {
    let tenant = &stage.tenants[0];
    let request = Request::create(&tenant.keys[&Role::Reporter], marker, new_case(marker, "public"));
    let Some(answer) = client.deliver(&request).await else { return };
    client.findings.expect(answer.status == 201, || format!("a create was answered {} {}", answer.status, answer.text));
    let principal_id = tenant.principals[&Role::Reporter];
    ledger.add(Entry { principal_id, request, answer, note: None });
}
