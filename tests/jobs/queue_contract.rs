//! What the queue promises to workers and to those who look at it.

use std::collections::BTreeSet;
use std::time::Duration;

use docket::application::ports::job_queue::{JobQueue, QueueError, Settlement};
use docket::application::ports::job_store::{JobFilter, JobStore, NewJob};
use docket_domain::ids::{JobId, TenantId, WorkerId};
use docket_domain::job::{JobLease, JobState, Priority};
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bench::{Bench, LEASE, slot};

#[tokio::test]
async fn many_claims_at_once_give_every_job_to_one_worker() {
    let bench = Bench::new().await;
    let jobs: Vec<NewJob> = (0..400).map(|_| bench.job("probe")).collect();
    bench.store.enqueue(bench.tenant, &jobs).await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..8 {
        workers.push(bench.worker().await);
    }
    let claims = workers.iter().map(|worker| async {
        let mut taken = Vec::new();
        loop {
            let batch = bench.claim(*worker, "probe", 7).await;
            if batch.is_empty() {
                return taken;
            }
            taken.extend(batch.into_iter().map(|job| job.lease.job_id));
        }
    });
    let taken: Vec<JobId> = futures::future::join_all(claims).await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 400);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 400, "nobody has another's");
}

#[tokio::test]
async fn urgent_jobs_come_first_then_older_ones_and_future_ones_not_at_all() {
    let bench = Bench::new().await;
    let mut wanted = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::Urgent, Priority::High, Priority::Urgent] {
        wanted.push((priority, bench.enqueue(NewJob { priority, ..bench.job("probe") }).await));
    }
    wanted.sort();
    let later = OffsetDateTime::now_utc() + time::Duration::HOUR;
    bench.enqueue(NewJob { run_at: Some(later), priority: Priority::Urgent, ..bench.job("probe") }).await;
    let worker = bench.worker().await;
    let mut order = Vec::new();
    while let Some(job) = bench.claim(worker, "probe", 1).await.pop() {
        order.push(job.lease.job_id);
    }
    assert_eq!(order, wanted.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
}

#[tokio::test]
async fn kinds_are_claimed_to_their_own_measure_and_unknown_ones_left_alone() {
    let bench = Bench::new().await;
    for kind in ["probe", "other", "unknown"] {
        for _ in 0..5 {
            bench.enqueue(bench.job(kind)).await;
        }
    }
    let worker = bench.worker().await;
    let claimed = bench.queue.claim(worker, &[slot("probe", 2), slot("other", 4)]).await.unwrap();
    let of = |kind| claimed.iter().filter(|job| job.kind == kind).count();
    assert_eq!((of("probe"), of("other"), of("unknown")), (2, 4, 0));
}

#[tokio::test]
async fn whoever_lost_a_job_cannot_end_it_in_any_way() {
    let bench = Bench::new().await;
    let id = bench.enqueue(bench.job("probe")).await;
    let (old, new) = (bench.worker().await, bench.worker().await);
    let lost = bench.claim(old, "probe", 1).await.remove(0).lease;
    bench.silence(old).await;
    assert_eq!(bench.queue.reap().await.unwrap(), 1);
    assert!(matches!(bench.queue.heartbeat(old, LEASE).await, Err(QueueError::LeaseLost)));
    assert!(matches!(bench.queue.claim(old, &[slot("probe", 1)]).await, Err(QueueError::LeaseLost)));
    for taken_over in [false, true] {
        let held = if taken_over { bench.claim(new, "probe", 1).await.pop() } else { None };
        assert_eq!(held.is_some(), taken_over);
        assert_eq!(bench.queue.complete(&[lost]).await.unwrap(), 0);
        let retry = Settlement::Retry { delay: Duration::ZERO, error: "late".into() };
        let dead = Settlement::Dead { error: "late".into() };
        for settlement in [Settlement::Succeeded(None), retry, dead, Settlement::Cancelled] {
            assert_eq!(bench.queue.settle(&[(lost, settlement)]).await.unwrap(), 0);
        }
        assert!(!bench.queue.progress(lost, 50).await.unwrap());
        let state = if taken_over { JobState::Running } else { JobState::Queued };
        assert_eq!(bench.state(id).await, Some(state));
    }
}

#[tokio::test]
async fn a_job_whose_worker_went_silent_is_first_in_line_again() {
    let bench = Bench::new().await;
    let first = bench.enqueue(bench.job("probe")).await;
    let (dead, next) = (bench.worker().await, bench.worker().await);
    assert_eq!(bench.claim(dead, "probe", 1).await.len(), 1);
    bench.enqueue(NewJob { priority: Priority::Urgent, ..bench.job("probe") }).await;
    assert_eq!(bench.queue.reap().await.unwrap(), 0, "the lease holds");
    bench.silence(dead).await;
    assert_eq!(bench.queue.reap().await.unwrap(), 1);
    let again = bench.claim(next, "probe", 1).await.remove(0);
    assert_eq!((again.lease.job_id, again.attempt), (first, 2));
}

#[tokio::test]
async fn a_worker_that_leaves_hands_back_what_it_holds_and_no_attempt_is_counted() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.enqueue(bench.job("probe")).await;
    }
    let (leaving, next) = (bench.worker().await, bench.worker().await);
    let held = bench.claim(leaving, "probe", 3).await;
    bench.queue.complete(&[held[0].lease]).await.unwrap();
    assert_eq!(bench.queue.retire(leaving).await.unwrap(), 2);
    assert_eq!(bench.queue.complete(&[held[1].lease]).await.unwrap(), 0);
    let again = bench.claim(next, "probe", 3).await;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [1, 1]);
    assert!(again.iter().all(|job| job.lease.token > held[1].lease.token));
}

#[tokio::test]
async fn ends_are_kept_as_they_were_told() {
    let bench = Bench::new().await;
    let worker = bench.worker().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(bench.enqueue(bench.job("probe")).await);
    }
    let leases: Vec<JobLease> = bench.claim(worker, "probe", 5).await.iter().map(|job| job.lease).collect();
    let settled = [
        (leases[0], Settlement::Succeeded(Some(json!({"answer": 42})))),
        (leases[1], Settlement::Retry { delay: Duration::from_mins(1), error: "busy".into() }),
        (leases[2], Settlement::Dead { error: "no such thing".into() }),
        (leases[3], Settlement::Cancelled),
    ];
    assert_eq!(bench.queue.settle(&settled).await.unwrap(), 4);
    assert_eq!(bench.queue.complete(&[leases[4]]).await.unwrap(), 1);
    let look = async |index: usize| bench.store.get(bench.tenant, leases[index].job_id).await.unwrap();
    assert_eq!(look(0).await.unwrap().result, Some(json!({"answer": 42})));
    let waiting = look(1).await.unwrap();
    assert_eq!((waiting.state, waiting.error.as_deref(), waiting.attempt), (JobState::Queued, Some("busy"), 1));
    let wait = waiting.run_at.unwrap() - waiting.started_at.unwrap();
    assert!(wait > time::Duration::seconds(59) && wait < time::Duration::seconds(90), "{wait}");
    assert_eq!(look(2).await.unwrap().error.as_deref(), Some("no such thing"));
    assert_eq!(look(3).await.unwrap().state, JobState::Cancelled);
    assert_eq!(look(4).await, None, "an end without a result leaves no trace");
    assert!(bench.claim(worker, "probe", 5).await.is_empty());
}

#[tokio::test]
async fn a_job_may_be_put_off_by_any_length_of_time() {
    let bench = Bench::new().await;
    for _ in 0..2 {
        bench.enqueue(bench.job("probe")).await;
    }
    let worker = bench.worker().await;
    let leases: Vec<JobLease> = bench.claim(worker, "probe", 2).await.iter().map(|job| job.lease).collect();
    let (delay, error) = (Duration::from_secs(u64::MAX), "absurd".to_owned());
    let settled = [
        (leases[0], Settlement::Retry { delay, error: error.clone() }),
        (leases[1], Settlement::Postponed { delay, error }),
    ];
    assert_eq!(bench.queue.settle(&settled).await.unwrap(), 2);
    for lease in leases {
        let run_at = bench.store.get(bench.tenant, lease.job_id).await.unwrap().unwrap().run_at.unwrap();
        let days = (run_at - OffsetDateTime::now_utc()).whole_days();
        assert!((364..=366).contains(&days), "{days} days");
    }
}

#[tokio::test]
async fn a_job_ends_although_somebody_asks_for_its_end_at_that_moment() {
    let bench = Bench::new().await;
    for _ in 0..3 {
        bench.enqueue(bench.job("probe")).await;
    }
    let worker = bench.worker().await;
    let leases: Vec<JobLease> = bench.claim(worker, "probe", 3).await.iter().map(|job| job.lease).collect();
    let owner = bench.owner().await;
    let mut asking = owner.begin().await.unwrap();
    sqlx::query("UPDATE docket.jobs SET cancel_requested = true WHERE id = $1")
        .bind(leases[1].job_id.0)
        .execute(&mut *asking)
        .await
        .unwrap();
    let completing = bench.queue.complete(&leases);
    let committing = async {
        // The end waits for the row that the other one changes.
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&owner).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        asking.commit().await.unwrap();
    };
    let (ended, ()) = tokio::join!(completing, committing);
    assert_eq!(ended.unwrap(), 3);
    for lease in leases {
        assert_eq!(bench.state(lease.job_id).await, None);
    }
}

#[tokio::test]
async fn what_a_worker_holds_without_knowing_goes_back_with_nothing_counted() {
    let bench = Bench::new().await;
    for _ in 0..4 {
        bench.enqueue(bench.job("probe")).await;
    }
    let (worker, other) = (bench.worker().await, bench.worker().await);
    let held: Vec<JobLease> = bench.claim(worker, "probe", 3).await.iter().map(|job| job.lease).collect();
    let foreign = bench.claim(other, "probe", 1).await.remove(0).lease;
    let outdated = JobLease { token: held[1].token - 1, ..held[1] };
    assert_eq!(bench.queue.release_unknown(worker, &[held[0], outdated]).await.unwrap(), 2);
    assert_eq!(bench.queue.complete(&[held[0], foreign]).await.unwrap(), 2, "what is known and another's stay");
    let again = bench.claim(other, "probe", 4).await;
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(bench.queue.complete(&[held[1], held[2]]).await.unwrap(), 0, "the old leases are over");
    let given_up = WorkerId(Uuid::now_v7());
    assert!(matches!(bench.queue.release_unknown(given_up, &[]).await, Err(QueueError::LeaseLost)));
}

#[tokio::test]
async fn a_unique_key_keeps_a_second_job_away_until_the_first_has_ended() {
    let bench = Bench::new().await;
    let unique = || NewJob { unique_key: Some("nightly".into()), ..bench.job("probe") };
    let first = bench.enqueue(unique()).await;
    assert!(bench.store.enqueue(bench.tenant, &[unique()]).await.unwrap().is_empty());
    let kind = bench.job("probe").kind;
    assert_eq!(bench.store.holder(bench.tenant, &kind, "nightly").await.unwrap().unwrap().id, first);
    let worker = bench.worker().await;
    let lease = bench.claim(worker, "probe", 1).await.remove(0).lease;
    assert!(bench.store.enqueue(bench.tenant, &[unique()]).await.unwrap().is_empty(), "it runs");
    bench.queue.settle(&[(lease, Settlement::Dead { error: "x".into() })]).await.unwrap();
    bench.enqueue(unique()).await;
    bench.enqueue(NewJob { unique_key: Some("nightly".into()), ..bench.job("other") }).await;
}

#[tokio::test]
async fn a_heartbeat_tells_what_is_to_be_cancelled_and_progress_is_shown() {
    let bench = Bench::new().await;
    let id = bench.enqueue(bench.job("probe")).await;
    let worker = bench.worker().await;
    let lease = bench.claim(worker, "probe", 1).await.remove(0).lease;
    assert!(bench.queue.heartbeat(worker, LEASE).await.unwrap().is_empty());
    assert!(bench.queue.progress(lease, 40).await.unwrap());
    let owner = bench.owner().await;
    sqlx::query("UPDATE docket.jobs SET cancel_requested = true").execute(&owner).await.unwrap();
    owner.close().await;
    assert_eq!(bench.queue.heartbeat(worker, LEASE).await.unwrap(), [lease]);
    let seen = bench.store.get(bench.tenant, id).await.unwrap().unwrap();
    assert_eq!((seen.progress, seen.cancel_requested), (Some(40), true));
}

#[tokio::test]
async fn lists_hold_one_tenants_jobs_newest_first_whether_they_wait_or_have_ended() {
    let bench = Bench::new().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(bench.enqueue(bench.job("probe")).await);
    }
    let other = TenantId(Uuid::now_v7());
    let foreign = NewJob { tenant_id: other, ..bench.job("probe") };
    bench.store.enqueue(other, std::slice::from_ref(&foreign)).await.unwrap();
    let worker = bench.worker().await;
    let lease = bench.claim(worker, "probe", 1).await.remove(0).lease;
    bench.queue.settle(&[(lease, Settlement::Dead { error: "x".into() })]).await.unwrap();
    ids.reverse();
    let list = async |filter: &JobFilter, before| {
        let page = bench.store.list(bench.tenant, filter, before, 3).await.unwrap();
        page.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    let all = JobFilter::default();
    let first = list(&all, None).await;
    assert_eq!(first, ids[..3]);
    assert_eq!(list(&all, first.last().copied()).await, ids[3..]);
    let dead = JobFilter { states: vec![JobState::Dead], kind: Some("probe".parse().unwrap()) };
    assert_eq!(list(&dead, None).await, [ids[3]]);
    assert_eq!(bench.store.get(bench.tenant, foreign.id).await.unwrap(), None);
    assert_eq!(bench.store.dead(bench.tenant, &"probe".parse().unwrap(), 10).await.unwrap(), 1);
    let depth = bench.queue.depths(&["probe", "none"], 2).await.unwrap();
    assert_eq!((depth[0].waiting, depth[0].dead, depth[1].waiting), (2, 1, 0), "counting ends at the cap");
}

#[tokio::test]
async fn the_service_itself_sees_no_job_without_a_tenant_and_no_stranger_may_call_the_queue() {
    let bench = Bench::new().await;
    bench.enqueue(bench.job("probe")).await;
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.jobs").fetch_one(&bench.pool).await.unwrap();
    assert_eq!(count, 0);
    let public: Vec<String> = sqlx::query_scalar(
        "SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE n.nspname = 'docket' AND p.prosecdef AND has_function_privilege('pg_monitor', p.oid, 'execute')",
    )
    .fetch_all(&bench.owner().await)
    .await
    .unwrap();
    assert_eq!(public, Vec::<String>::new(), "functions that cross tenants are for the service alone");
    assert!(matches!(
        bench.queue.claim(WorkerId(Uuid::now_v7()), &[slot("probe", 1)]).await,
        Err(QueueError::LeaseLost)
    ));
}
