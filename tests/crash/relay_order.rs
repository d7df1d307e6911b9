//! R9 and the relay's half of R4: commits out of order, relays killed; nothing is missed, no case is reordered.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use docket::adapters::postgres::{self, PgRelayStore, pool::PoolSettings};
use docket::application::events::relay::{Relay, RelaySettings};
use docket::application::events::wakeups::Wakeups;
use docket::application::ports::EventSink;
use docket::application::ports::event_feed::StoredEvent;
use docket::application::ports::event_sink::SinkError;
use docket_domain::principal::Role;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::receiver::Receiver;
use crate::ssrf::sending;
use crate::support::outbox::{Pace, commit_slowly};
use crate::support::report::{Figures, Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, rounds, seed};
use crate::support::stage::Stage;

/// Keeps what it was handed.
#[derive(Default)]
struct Log(Mutex<Vec<(Uuid, u64, Uuid)>>);

#[async_trait]
impl EventSink for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        self.0.lock().extend(events.iter().map(|event| (event.case_id.0, event.sequence, event.id.0)));
        Vec::new()
    }
}

pub async fn tenant_of(owner: &PgPool) -> Uuid {
    sqlx::query_scalar("SELECT id FROM docket.tenants WHERE name = 'tenant-0'").fetch_one(owner).await.unwrap()
}

/// Registers the receiver for every event.
pub async fn register(service: &Service, key: &str, receiver: &Receiver) {
    let registered = reqwest::Client::new()
        .post(format!("{}/v1/webhooks", service.url))
        .bearer_auth(key)
        .header("idempotency-key", "register")
        .json(&serde_json::json!({"name": "battery", "url": receiver.url()}))
        .send()
        .await
        .unwrap();
    assert_eq!(registered.status(), 201);
}

/// Case, sequence and id of everything that arrived, in the order of arrival.
pub fn log_of(receiver: &Receiver) -> Vec<(Uuid, u64, Uuid)> {
    let of = |event: &serde_json::Value| {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("subject").parse().unwrap(), text("sequence").parse().unwrap(), text("id").parse().unwrap())
    };
    receiver.received().iter().map(|one| of(&one.event())).collect()
}

/// Missed and reordered events; what came twice must be the same event.
pub fn judge(log: &[(Uuid, u64, Uuid)], emitted: u64, findings: &Findings) -> (u64, u64, u64) {
    let (mut last, mut seen, mut ids) = (BTreeMap::new(), HashSet::new(), HashSet::new());
    let (mut reordered, mut doubled) = (0, 0);
    for (case, sequence, id) in log {
        if !seen.insert((*case, *sequence)) {
            doubled += 1;
            findings.expect(ids.contains(id), || format!("{case} {sequence} came twice under different ids"));
            continue;
        }
        ids.insert(*id);
        let before: u64 = last.insert(*case, *sequence).unwrap_or(0);
        if *sequence != before + 1 {
            reordered += 1;
        }
    }
    let missed = emitted - u64::try_from(seen.len()).unwrap();
    findings.expect(missed == 0, || format!("{missed} of {emitted} events were never handed on"));
    findings.expect(reordered == 0, || format!("{reordered} of {emitted} events came out of the order of their case"));
    (missed, reordered, doubled)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_event_is_missed_or_reordered_however_late_it_commits() {
    let _turn = turn().await;
    let (events, seed) = (number("DOCKET_CRASH_EVENTS", 3_000), seed("R9"));
    let (random, findings, stage) = (random(seed), Findings::default(), Stage::start(1).await);
    let owner = stage.owner().await;
    let writers = sqlx::postgres::PgPoolOptions::new().max_connections(24).connect(&stage.owner_url()).await.unwrap();
    let tenant = tenant_of(&owner).await;
    let settings = PoolSettings {
        url: stage.owner_url(),
        size: 8,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(15),
    };
    let pool = postgres::connect(&settings).await.unwrap();
    let log = Arc::new(Log::default());
    let rules = RelaySettings {
        poll: Duration::from_millis(5),
        lease: Duration::from_secs(10),
        send_within: Duration::from_secs(1),
        concurrency: 8,
        per_destination: 8,
        finish_within: Duration::from_secs(6),
    };
    let sinks: Vec<Arc<dyn EventSink>> = vec![log.clone()];
    let store = Arc::new(PgRelayStore::new(pool));
    let relay = Relay::new(store, sending(Vec::new()), sinks, Wakeups::default(), rules);
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { relay.run(stop).await }
    });
    let cases = 24;
    let pace = Pace { events: events / cases, least: 3_000 / cases, longest: 12 };
    let work = (0..cases)
        .map(|part| tokio::spawn(commit_slowly(writers.clone(), tenant, Uuid::now_v7(), pace, random.part(part))));
    let mut emitted = 0;
    for writer in work.collect::<Vec<_>>() {
        emitted += writer.await.unwrap();
    }
    let began = Instant::now();
    while u64::try_from(log.0.lock().len()).unwrap() < emitted && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
    let (missed, reordered, _) = judge(&log.0.lock(), emitted, &findings);
    let trials = usize::try_from(emitted).unwrap();
    Figures { events: emitted, lost: missed, reordered, ..Figures::default() }.note("R9");
    println!("R9 seed {seed}: {}; {}", bounded(missed, "missed", trials), bounded(reordered, "reordered", trials));
    findings.assert_none();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_survive_relays_that_are_killed() {
    let _turn = turn().await;
    let (wanted, seed) = (number("DOCKET_CRASH_RELAY_KILLS", 8), seed("R4 (relay)"));
    let (mut random, findings, stage) = (random(seed), Findings::default(), Stage::start(1).await);
    let settings = [
        ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
        ("DOCKET_WEBHOOKS__TIMEOUT_MS", "1000"),
        ("DOCKET_RELAY__LEASE_SECONDS", "2"),
        ("DOCKET_RELAY__POLL_INTERVAL_MS", "50"),
        ("DOCKET_RELAY__PER_DESTINATION", "16"),
    ];
    let mut service = Service::start_with(&stage, &settings).await;
    let receiver = Receiver::start().await;
    register(&service, &stage.tenants[0].keys[&Role::Admin], &receiver).await;
    let owner = stage.owner().await;
    let tenant = tenant_of(&owner).await;
    // About as long as the kills take, so that every life of the service has work.
    let (cases, pace) = (30, Pace { events: wanted * 6, least: 8 * 6, longest: 360 });
    let writers = sqlx::postgres::PgPoolOptions::new().max_connections(30).connect(&stage.owner_url()).await.unwrap();
    let work: Vec<_> = (0..cases)
        .map(|part| tokio::spawn(commit_slowly(writers.clone(), tenant, Uuid::now_v7(), pace, random.part(part))))
        .collect();
    let mut kills = 0;
    for _ in rounds("DOCKET_CRASH_RELAY_KILLS", 8) {
        tokio::time::sleep(random.millis(200, 2_000)).await;
        service.kill();
        kills += 1;
        if service.restart().await.is_none() {
            findings.add("the service was not ready 20 s after a kill");
            break;
        }
    }
    let mut emitted = 0;
    for writer in work {
        emitted += writer.await.unwrap();
    }
    let began = Instant::now();
    let log = loop {
        let log = log_of(&receiver);
        let distinct: HashSet<(Uuid, u64)> = log.iter().map(|(case, sequence, _)| (*case, *sequence)).collect();
        if u64::try_from(distinct.len()).unwrap() == emitted || began.elapsed() > Duration::from_secs(30) {
            break log;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let (missed, reordered, doubled) = judge(&log, emitted, &findings);
    let trials = usize::try_from(emitted).unwrap();
    Figures { kills, events: emitted, lost: missed, reordered, ..Figures::default() }.note("R4 (relay)");
    println!(
        "R4 (relay) seed {seed}: {kills} kills; {}; {}; {doubled} sent twice under their own id",
        bounded(missed, "lost", trials),
        bounded(reordered, "reordered", trials)
    );
    findings.assert_none();
}
