//! R14, streams: replicas are told to stop while a client follows `/v1/events`. Every stream ends as HTTP says it should, the
//! client goes on at the other replica with `Last-Event-ID`, and in the end it has seen every event once, in order.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use uuid::Uuid;

use crate::support::outbox::{Pace, commit_slowly};
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, rounds, seed};
use crate::support::stage::Stage;

/// What a client remembers: where it is, and what it has seen.
#[derive(Default)]
struct Reader {
    last: Option<String>,
    seen: Vec<(Uuid, u64)>,
}

impl Reader {
    /// Reads one message; a half one is not a message.
    fn take(&mut self, message: &str) {
        let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(id) = field("id:") {
            self.last = Some(id.to_owned());
        }
        if let Some(data) = field("data:") {
            let event: serde_json::Value = serde_json::from_str(data).unwrap();
            let text = |name: &str| event[name].as_str().unwrap();
            self.seen.push((text("subject").parse().unwrap(), text("sequence").parse().unwrap()));
        }
    }

    /// Follows the stream of a replica until it ends or so many events were seen. True if the end was a clean one.
    async fn follow(&mut self, url: &str, key: &str, goal: usize) -> bool {
        // A connection of its own each time: a pooled one may lead to a replica that is gone.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        let mut request = client.get(format!("{url}/v1/events")).bearer_auth(key).header("accept", "text/event-stream");
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        let Ok(mut response) = request.send().await else { return true };
        if response.status() != 200 {
            // A replica that is going takes no new streams.
            return response.status() == 503;
        }
        let mut text = String::new();
        while self.seen.len() < goal {
            match tokio::time::timeout(Duration::from_secs(30), response.chunk()).await {
                Ok(Ok(Some(chunk))) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Ok(Ok(None)) => return text.is_empty(),
                Ok(Err(_)) | Err(_) => return false,
            }
            while let Some(end) = text.find("\n\n") {
                let message: String = text.drain(..end + 2).collect();
                self.take(&message);
            }
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_with_its_replica_goes_on_at_the_other_without_a_gap_or_a_double() {
    let _turn = turn().await;
    let (wanted, seed) = (number("DOCKET_CRASH_STREAM_STOPS", 3), seed("R14 (streams)"));
    let (mut random, findings, stage) = (random(seed), Findings::default(), Stage::start(1).await);
    let mut replicas = [Service::start(&stage).await, Service::start(&stage).await];
    let (writers, share) = (8, Pace { events: wanted * 40, least: 3 * 40, longest: 40 });
    let owner = sqlx::postgres::PgPoolOptions::new().max_connections(10).connect(&stage.owner_url()).await.unwrap();
    let tenant: Uuid =
        sqlx::query_scalar("SELECT id FROM docket.tenants WHERE name = 'tenant-0'").fetch_one(&owner).await.unwrap();
    // Events without a case are seen by whoever may see every case.
    let key = stage.tenants[0].keys[&Role::Supervisor].clone();
    let work: Vec<_> = (0..writers)
        .map(|part| tokio::spawn(commit_slowly(owner.clone(), tenant, Uuid::now_v7(), share, random.part(part))))
        .collect();
    let (mut reader, mut place, mut slowest, mut stops) = (Reader::default(), 0, Duration::ZERO, 0);
    for _ in rounds("DOCKET_CRASH_STREAM_STOPS", 3) {
        stops += 1;
        let url = replicas[place].url.clone();
        let stopping = async {
            tokio::time::sleep(random.millis(300, 900)).await;
            replicas[place].terminate().await
        };
        let (clean, (code, took)) = tokio::join!(reader.follow(&url, &key, usize::MAX), stopping);
        findings.expect(clean, || "a stream was cut instead of ended".to_owned());
        slowest = slowest.max(took);
        findings.expect(code == Some(0) && took < Duration::from_secs(10), || format!("exit {code:?} after {took:?}"));
        findings.expect(replicas[place].restart().await.is_some(), || "the replica did not come back".to_owned());
        place = 1 - place;
    }
    let mut emitted = 0;
    for writer in work {
        emitted += usize::try_from(writer.await.unwrap()).unwrap();
    }
    let began = Instant::now();
    while reader.seen.len() < emitted && began.elapsed() < Duration::from_secs(30) {
        findings
            .expect(reader.follow(&replicas[place].url, &key, emitted).await, || "the last stream broke".to_owned());
    }
    let distinct: HashSet<_> = reader.seen.iter().collect();
    let (missed, doubled) = (emitted - distinct.len(), reader.seen.len() - distinct.len());
    let (mut last, mut reordered) = (BTreeMap::new(), 0);
    for (case, sequence) in &reader.seen {
        let before = last.insert(case, *sequence).unwrap_or(0);
        reordered += u64::from(*sequence != before + 1);
    }
    findings.expect(missed + doubled == 0, || format!("{missed} missed, {doubled} doubled of {emitted}"));
    findings.expect(reordered == 0, || format!("{reordered} came out of the order of their case"));
    let figures =
        Figures { events: count(emitted), lost: count(missed), doubled: count(doubled), ..Figures::default() };
    Figures { reordered, ..figures }.note("R14 (streams)");
    println!(
        "R14 (streams) seed {seed}: {stops} SIGTERMs under an open stream; {}; {}; {}; slowest exit {slowest:.1?}",
        bounded(missed, "missed", emitted),
        bounded(doubled, "doubled", emitted),
        bounded(reordered, "reordered", emitted)
    );
    findings.assert_none();
}
