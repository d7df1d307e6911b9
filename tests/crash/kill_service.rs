//! R1: the service is killed at random moments under mixed load. Nothing acknowledged is lost, nothing happens twice.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::support::client::Client;
use crate::support::invariants;
use crate::support::ledger::{Entry, Ledger};
use crate::support::load::Load;
use crate::support::questions::Questions;
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, rounds, seed};
use crate::support::stage::Stage;
use crate::support::surroundings::{SETTINGS, Surroundings};

/// How soon the service should be ready again; how often it was is printed.
const GOAL: Duration = Duration::from_secs(2);
/// Longest tolerated time from the start of the process to readiness, on a machine that does other things, too.
const LONGEST_START: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_service_is_killed() {
    let _turn = turn().await;
    let (wanted, seed) = (number("DOCKET_CRASH_KILLS", 30), seed("R1"));
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let mut service = Service::start_with(&stage, &SETTINGS).await;
    let around = Surroundings::begin(&stage, &service).await;
    let client = Client::new(&service.url, &findings);
    let questions = Questions::start(&client, &stage, &random).await;
    let load = Load::start(&client, &stage.tenants, 8, &random);
    // The long form gives each life of the service time for many writes.
    let longest_life = if wanted > 50 { 1_500 } else { 300 };
    let mut starts = Vec::new();
    let started = Instant::now();
    let mut kills = 0;
    for _ in rounds("DOCKET_CRASH_KILLS", 30) {
        tokio::time::sleep(random.millis(40, longest_life)).await;
        service.kill();
        kills += 1;
        let Some(time) = service.restart().await else {
            findings.add("the service was not ready 20 s after a kill");
            break;
        };
        starts.push(time);
    }
    let ledger = load.finish().await;
    let took = started.elapsed();
    let owner = stage.owner().await;
    let answers = questions.finish(&owner).await;
    let checked = invariants::check(&owner, &ledger, &around, &findings).await;
    let answered = answers.check(&owner, &findings).await;
    replay(&client, &ledger, &owner, &mut random).await;
    starts.sort_unstable();
    let time = |at: usize| starts.get(at).copied().unwrap_or_default();
    let (median, worst) = (time(starts.len() / 2), time(starts.len().saturating_sub(1)));
    let in_time = starts.iter().filter(|time| **time <= GOAL).count();
    println!(
        "R1 seed {seed}: {kills} kills in {took:.1?}; {}; ready again in {median:.2?} median, {worst:.2?} worst, {in_time} \
         of {kills} times within {GOAL:?}; {answered}; {}",
        checked.words(),
        client.tally.words(),
    );
    Figures { kills, ..checked.figures() }.note("R1");
    findings.expect(median < GOAL, || format!("ready again only after {median:?} at the median"));
    findings.expect(worst < LONGEST_START, || format!("ready again only after {worst:?}"));
    findings.assert_none();
}

/// Sends some of the operations once more: each gets the bytes that it got before, unless the caller may by now not
/// even know of the case (authorization stands before replay), which the database must confirm.
pub async fn replay(client: &Client, ledger: &Ledger, owner: &PgPool, random: &mut Random) {
    let acknowledged: Vec<_> = ledger.entries().into_iter().filter(Entry::is_acknowledged).collect();
    client.findings.expect(!acknowledged.is_empty(), || "no write was acknowledged at all".to_owned());
    for _ in 0..acknowledged.len().min(300) {
        let entry = random.pick(&acknowledged);
        let Some(again) = client.deliver(&entry.request).await else { return };
        let as_it_must_be = if takes_no_part_in_a_restricted_case(owner, entry).await {
            again.status == 404 && !again.replayed && again.slug() == "not-found"
        } else {
            (again.status, &again.text, &again.etag, &again.location, again.replayed)
                == (entry.answer.status, &entry.answer.text, &entry.answer.etag, &entry.answer.location, true)
        };
        client.findings.expect(as_it_must_be, || {
            format!("a replay of {} {} differs: {again:?}", entry.request.method, entry.request.path)
        });
    }
}

/// Whether the case has since been given to somebody else: its former assignee, a caseworker, sees restricted cases
/// only while it takes part.
async fn takes_no_part_in_a_restricted_case(owner: &PgPool, entry: &Entry) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM docket.cases c
           JOIN docket.principals p ON p.tenant_id = c.tenant_id AND p.id = $2
          WHERE c.id = $1 AND c.confidentiality = 'restricted' AND c.reporter_id <> p.id
            AND c.assignee_id IS DISTINCT FROM p.id AND p.roles = ARRAY['caseworker'])",
    )
    .bind(entry.case_and_version().0)
    .bind(entry.principal_id)
    .fetch_one(owner)
    .await
    .unwrap()
}
