//! A million events wait when the service starts: the first leaves at once, memory stays bounded, and the order holds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use uuid::Uuid;

use crate::receiver::Receiver;
use crate::relay_order::register;
use crate::support::report::{Findings, turn};
use crate::support::service::Service;
use crate::support::settings::number;
use crate::support::stage::Stage;

/// Events of each case.
const EACH: u64 = 20;
/// Memory that a backlog may cost, in kibibytes.
const MEMORY_KIB: u64 = 96 * 1024;
/// When the first event must have arrived, whatever waits: far below what writing all deliveries takes.
const FIRST: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_great_backlog_at_the_start_begins_to_leave_at_once_and_costs_bounded_memory() {
    let _turn = turn().await;
    let (events, findings) = (number("DOCKET_CRASH_PENDING", 40_000), Findings::default());
    let (stage, receiver) = (Stage::start(1).await, Receiver::start().await);
    let settings = [
        ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
        ("DOCKET_RELAY__PER_DESTINATION", "16"),
        ("DOCKET_EMBEDDING__WARM_UP", "false"),
    ];
    let mut service = Service::start_with(&stage, &settings).await;
    register(&service, &stage.tenants[0].keys[&Role::Admin], &receiver).await;
    service.terminate().await;
    let owner = stage.owner().await;
    let idle = {
        findings.expect(service.restart().await.is_some(), || "not ready without a backlog".to_owned());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = service.resident_kib();
        service.terminate().await;
        idle
    };
    sqlx::query(
        "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at)
         SELECT t.id, uuidv7(), md5(c::text)::uuid, s, 'case.updated', t.id, '{\"state\": \"draft\"}', now()
         FROM docket.tenants t, generate_series(1, $1) s, generate_series(1, $2) c WHERE t.name = 'tenant-0'
         ORDER BY s, c",
    )
    .bind(i32::try_from(EACH).unwrap())
    .bind(i32::try_from(events / EACH).unwrap())
    .execute(&owner)
    .await
    .unwrap();
    let began = Instant::now();
    let ready = service.restart().await;
    findings.expect(ready.is_some(), || "the service was not ready within 20 s".to_owned());
    // In the short form few, in the long one enough for memory to show what it does.
    let enough = usize::try_from(events / 100).unwrap().min(5_000);
    let (mut first, mut peak) = (None, 0);
    while receiver.received().len() < enough && began.elapsed() < Duration::from_secs(90) {
        peak = peak.max(service.resident_kib());
        if first.is_none() && receiver.connections() > 0 {
            let sql = "SELECT count(*) FROM docket.deliveries";
            let written: i64 = sqlx::query_scalar(sql).fetch_one(&owner).await.unwrap();
            // Looked at a little later than it happened: a relay that writes everything first has written all by now.
            let most = i64::try_from(events / 10 * 9).unwrap();
            findings.expect(written < most, || format!("{written} deliveries were written before the first left"));
            first = Some(began.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = receiver.received();
    let first = first.unwrap_or(began.elapsed());
    findings.expect(log.len() >= enough, || format!("{} deliveries within 90 s", log.len()));
    findings.expect(first < FIRST, || format!("the first delivery after {first:?}"));
    let grown = peak.saturating_sub(idle);
    findings.expect(grown < MEMORY_KIB, || format!("memory grew by {grown} KiB"));
    let mut last: BTreeMap<Uuid, u64> = BTreeMap::new();
    let mut reordered = 0;
    for event in log.iter().map(crate::receiver::Received::event) {
        let case = event["subject"].as_str().unwrap().parse().unwrap();
        let sequence: u64 = event["sequence"].as_str().unwrap().parse().unwrap();
        let before = last.insert(case, sequence).unwrap_or(0);
        reordered += u64::from(sequence != before && sequence != before + 1);
    }
    findings.expect(reordered == 0, || format!("{reordered} came out of the order of their case"));
    println!(
        "Backlog: {events} pending events at the start; ready after {:.1?}, first delivery after {first:.1?}, \
         {} deliveries after {:.1?}; memory {} MiB idle, {} MiB at most",
        ready.unwrap_or_default(),
        log.len(),
        began.elapsed(),
        idle / 1024,
        peak / 1024
    );
    findings.assert_none();
}
