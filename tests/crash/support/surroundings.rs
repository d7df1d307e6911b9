//! What goes on beside the writes of a battery: an endpoint that hears of every event of the first tenant, and jobs. At the
//! end each event has arrived in the order of its case, and nothing is stuck.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use sqlx::PgPool;
use uuid::Uuid;

use super::questions;
use super::report::Findings;
use super::service::Service;
use super::stage::Stage;
use crate::receiver::Receiver;
use crate::relay_order::{judge, log_of, register, tenant_of};
use crate::terminated::enqueue;

/// Short leases, so that what a killed process held moves while the battery waits.
pub const SETTINGS: [(&str, &str); 10] = [
    ("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.0/8"),
    ("DOCKET_WEBHOOKS__ALLOW_HTTP", "true"),
    ("DOCKET_WEBHOOKS__TIMEOUT_MS", "1000"),
    ("DOCKET_RELAY__LEASE_SECONDS", "2"),
    ("DOCKET_RELAY__POLL_INTERVAL_MS", "100"),
    ("DOCKET_RELAY__PER_DESTINATION", "16"),
    ("DOCKET_WORKER__LEASE_MS", "2000"),
    ("DOCKET_WORKER__POLL_MS", "100"),
    questions::SETTINGS[0],
    questions::SETTINGS[1],
];

/// Jobs beside the load.
const JOBS: i64 = 150;
/// How long nothing may move before what is left counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(40);

/// The endpoint and the jobs.
pub struct Surroundings {
    receiver: Receiver,
}

/// What the end showed.
#[derive(Debug, Default)]
pub struct Settled {
    pub events: u64,
    pub missed: u64,
    pub reordered: u64,
    pub jobs: u64,
}

impl Surroundings {
    /// Registers the endpoint and enqueues the jobs, before anything is written.
    pub async fn begin(stage: &Stage, service: &Service) -> Self {
        let (receiver, owner) = (Receiver::start().await, stage.owner().await);
        register(service, &stage.tenants[0].keys[&Role::Admin], &receiver).await;
        enqueue(&owner, JOBS).await;
        owner.close().await;
        Self { receiver }
    }

    /// Waits for what is on its way, as long as it moves: every emitted event has arrived, under its own id and in the order of
    /// its case; every job has ended; no lane, job, worker or call is past its time.
    pub async fn settle(&self, owner: &PgPool, findings: &Findings) -> Settled {
        let tenant = tenant_of(owner).await;
        let emitted: HashSet<Uuid> = sqlx::query_scalar("SELECT id FROM docket.outbox_events WHERE tenant_id = $1")
            .bind(tenant)
            .fetch_all(owner)
            .await
            .unwrap()
            .into_iter()
            .collect();
        let (mut moved, mut last) = (Instant::now(), Vec::new());
        loop {
            let open = open(owner).await;
            let now = (open, self.receiver.count());
            if now.0.iter().all(|(_, count)| *count == 0) && now.1 >= emitted.len() && self.has(&emitted) {
                break;
            }
            if last != [now.clone()] {
                (last, moved) = (vec![now.clone()], Instant::now());
            }
            if moved.elapsed() > STUCK_AFTER {
                for (what, count) in now.0.iter().filter(|(_, count)| *count > 0) {
                    findings.add(format!("{count} {what} did not move for {STUCK_AFTER:?}"));
                }
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let log = log_of(&self.receiver);
        let foreign = log.iter().filter(|(_, _, id)| !emitted.contains(id)).count();
        findings.expect(foreign == 0, || format!("{foreign} events arrived that nobody emitted"));
        let ours: Vec<_> = log.into_iter().filter(|(_, _, id)| emitted.contains(id)).collect();
        let events = emitted.len().try_into().unwrap();
        let (missed, reordered, _) = judge(&ours, events, findings);
        let sql = "SELECT count(*), count(*) FILTER (WHERE state = 'cancelled') FROM docket.finished_jobs WHERE kind = 'probe'";
        let (ended, cancelled): (i64, i64) = sqlx::query_as(sql).fetch_one(owner).await.unwrap();
        findings.expect((ended, cancelled) == (JOBS, 0), || {
            format!("of {JOBS} jobs {ended} ended, {cancelled} of them cancelled by nobody")
        });
        Settled { events, missed, reordered, jobs: ended.try_into().unwrap() }
    }

    /// Whether all of these events have arrived.
    fn has(&self, events: &HashSet<Uuid>) -> bool {
        let arrived: HashSet<Uuid> = log_of(&self.receiver).iter().map(|(_, _, id)| *id).collect();
        events.is_subset(&arrived)
    }
}

/// What is open or past its time, by name.
async fn open(owner: &PgPool) -> Vec<(&'static str, i64)> {
    let mut counts = Vec::new();
    for (what, sql) in [
        ("deliveries", "SELECT count(*) FROM docket.deliveries"),
        ("lanes", "SELECT count(*) FROM docket.delivery_lanes"),
        ("jobs", "SELECT count(*) FROM docket.jobs WHERE kind = 'probe'"),
        (
            "jobs of workers whose lease is over",
            "SELECT count(*) FROM docket.jobs j LEFT JOIN docket.job_workers w ON w.id = j.worker_id
             WHERE j.worker_id IS NOT NULL AND (w.id IS NULL OR w.expires_at < clock_timestamp())",
        ),
        (
            "calls of models past their time",
            "SELECT count(*) FROM docket.model_calls WHERE state = 'reserved' AND expires_at < clock_timestamp()",
        ),
    ] {
        counts.push((what, sqlx::query_scalar(sql).fetch_one(owner).await.unwrap()));
    }
    counts
}
