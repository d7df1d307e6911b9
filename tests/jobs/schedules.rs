//! Schedules: one enqueue for each tick, however many processes look, and missed ticks collapse into one.

use docket::adapters::system::SystemClock;
use docket::application::jobs::schedule::{For, Schedule, fire_due};
use docket::application::ports::job_queue::JobQueue;
use docket_domain::ids::TenantId;
use serde_json::json;
use uuid::Uuid;

use crate::bench::Bench;

/// Pretends that the last tick of a schedule was long ago.
async fn set_back(bench: &Bench, name: &str) {
    let owner = bench.owner().await;
    sqlx::query("UPDATE docket.job_schedules SET last_tick = now() - interval '3 days' WHERE name = $1")
        .bind(name)
        .execute(&owner)
        .await
        .unwrap();
    owner.close().await;
}

fn every_minute(audience: For) -> Vec<Schedule> {
    vec![Schedule::new("every_minute", "* * * * *", "probe", json!({}), audience).unwrap()]
}

#[tokio::test]
async fn a_new_schedule_begins_now_and_missed_ticks_collapse_into_one_however_many_look() {
    let bench = Bench::new().await;
    let (schedules, clock) = (every_minute(For::Platform), SystemClock::new());
    bench.queue.last_tick("every_minute").await.unwrap();
    set_back(&bench, "every_minute").await;
    let looks = (0..8).map(|_| fire_due(&bench.queue, &clock, &schedules));
    let enqueued: u64 = futures::future::join_all(looks).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(enqueued, 1, "three days of minutes, eight processes, one job");
    let worker = bench.worker().await;
    let job = bench.claim(worker, "probe", 9).await;
    assert_eq!(job.len(), 1);
    assert_eq!(job[0].lease.tenant_id, TenantId::PLATFORM);
    set_back(&bench, "every_minute").await;
    assert_eq!(fire_due(&bench.queue, &clock, &schedules).await.unwrap(), 0, "the job of the last tick still runs");
    bench.queue.complete(&[job[0].lease]).await.unwrap();
    set_back(&bench, "every_minute").await;
    assert_eq!(fire_due(&bench.queue, &clock, &schedules).await.unwrap(), 1);
}

#[tokio::test]
async fn a_schedule_for_each_tenant_enqueues_one_job_for_each_that_is_not_suspended() {
    let bench = Bench::new().await;
    let (second, suspended) = (TenantId(Uuid::now_v7()), TenantId(Uuid::now_v7()));
    bench.tenant_named(second, "beta").await;
    bench.tenant_named(suspended, "gamma").await;
    let owner = bench.owner().await;
    sqlx::query("UPDATE docket.tenants SET suspended = true WHERE id = $1")
        .bind(suspended.0)
        .execute(&owner)
        .await
        .unwrap();
    bench.queue.last_tick("every_minute").await.unwrap();
    set_back(&bench, "every_minute").await;
    let enqueued = fire_due(&bench.queue, &SystemClock::new(), &every_minute(For::EachTenant)).await.unwrap();
    assert_eq!(enqueued, 2);
    let worker = bench.worker().await;
    let mut tenants: Vec<TenantId> =
        bench.claim(worker, "probe", 9).await.iter().map(|job| job.lease.tenant_id).collect();
    tenants.sort();
    assert_eq!(tenants, [bench.tenant, second]);
}
