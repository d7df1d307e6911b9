//! Maintenance jobs do what they say, in batches, and leave alone what is not theirs.

use std::sync::Arc;
use std::time::Duration;

use docket::adapters::object_store::ObjectBlobStore;
use docket::adapters::postgres::{PgAuditStore, PgEvidenceIndex, PgHousekeeping};
use docket::adapters::system::{Ed25519Signer, SystemClock};
use docket::application::jobs::JobHandler;
use docket::application::jobs::maintenance::{
    PurgeChunkDeletions, PurgeDeliveryAttempts, PurgeFinishedJobs, PurgeIdempotencyKeys, SignCheckpoint, SweepEvidence,
    schedules,
};
use docket::application::ports::AuditStore;
use docket::application::ports::job_store::NewJob;
use docket_domain::job::JobState;
use serde_json::json;

use crate::bench::Bench;
use crate::runner::{start, wait_for};

/// Runs one job of a handler to its end.
async fn once(bench: &Bench, handler: Arc<dyn JobHandler>) -> serde_json::Value {
    let id = bench.enqueue(NewJob { payload: json!({}), ..bench.job(handler.spec().kind) }).await;
    let worker = start(bench, vec![handler], Duration::from_secs(5));
    let done = wait_for(bench, id, JobState::Succeeded).await;
    worker.end().await;
    done.result.unwrap()
}

#[tokio::test]
async fn expired_keys_of_all_tenants_go_and_living_ones_stay() {
    let bench = Bench::new().await;
    let owner = bench.owner().await;
    sqlx::query(
        "INSERT INTO docket.idempotency_keys (tenant_id, principal_id, key, fingerprint, status, body, created_at, expires_at)
         SELECT gen_random_uuid(), gen_random_uuid(), n::text, decode(repeat('00', 32), 'hex'), 200, '', now(),
                now() + CASE WHEN n <= 6000 THEN interval '-2 hours' ELSE interval '-59 minutes' END
         FROM generate_series(1, 6010) n",
    )
    .execute(&owner)
    .await
    .unwrap();
    let purge = Arc::new(PurgeIdempotencyKeys(Arc::new(PgHousekeeping::new(bench.pool.clone()))));
    assert_eq!(once(&bench, purge).await, json!({"removed": 6000}), "in more than one batch");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.idempotency_keys").fetch_one(&owner).await.unwrap();
    assert_eq!(left, 10);
}

#[tokio::test]
async fn ended_jobs_go_after_their_time_and_dead_letters_after_theirs() {
    let bench = Bench::new().await;
    let owner = bench.owner().await;
    sqlx::query(
        "INSERT INTO docket.finished_jobs (tenant_id, id, kind, state, payload, priority, attempt, lease_token,
                                           requested_by, created_at, finished_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'probe', s, '{}', 3, 1, 1, gen_random_uuid(), now(),
                now() - make_interval(days => d)
         FROM unnest(ARRAY['succeeded', 'cancelled', 'dead']) s, unnest(ARRAY[1, 8, 91]) d",
    )
    .execute(&owner)
    .await
    .unwrap();
    let housekeeping = Arc::new(PgHousekeeping::new(bench.pool.clone()));
    let (age, dead_age) = (time::Duration::days(7), time::Duration::days(90));
    let purge = Arc::new(PurgeFinishedJobs { housekeeping, age, dead_age });
    assert_eq!(once(&bench, purge).await, json!({"removed": 5}));
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.finished_jobs WHERE state = 'dead'")
        .fetch_one(&owner)
        .await
        .unwrap();
    assert_eq!(left, 2);
}

#[tokio::test]
async fn old_lines_of_every_tenants_delivery_log_go_and_younger_ones_stay() {
    let bench = Bench::new().await;
    let owner = bench.owner().await;
    sqlx::query(
        "INSERT INTO docket.delivery_attempts (tenant_id, destination_id, id, event_id, event_type, attempt, outcome,
                                               duration_ms, attempted_at)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'docket.case.created', 1,
                'delivered', 3, now() - CASE WHEN n <= 5100 THEN interval '31 days' ELSE interval '29 days' END
         FROM generate_series(1, 5107) n",
    )
    .execute(&owner)
    .await
    .unwrap();
    let housekeeping = Arc::new(PgHousekeeping::new(bench.pool.clone()));
    let purge = Arc::new(PurgeDeliveryAttempts { housekeeping, age: time::Duration::days(30) });
    assert_eq!(once(&bench, purge).await, json!({"removed": 5_100}), "in more than one batch");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM docket.delivery_attempts").fetch_one(&owner).await.unwrap();
    assert_eq!(left, 7);
}

#[tokio::test]
async fn old_removals_of_passages_go_and_younger_ones_stay() {
    let bench = Bench::new().await;
    let owner = bench.owner().await;
    sqlx::query(
        "INSERT INTO docket.chunk_deletions (tenant_id, document_id, generation, deleted_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 1,
                now() - CASE WHEN n <= 1100 THEN interval '31 days' ELSE interval '29 days' END
         FROM generate_series(1, 1107) n",
    )
    .execute(&owner)
    .await
    .unwrap();
    let housekeeping = Arc::new(PgHousekeeping::new(bench.pool.clone()));
    let purge = Arc::new(PurgeChunkDeletions { housekeeping, age: time::Duration::days(30) });
    assert_eq!(once(&bench, purge).await, json!({"removed": 1_100}), "in more than one batch");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.chunk_deletions").fetch_one(&owner).await.unwrap();
    assert_eq!(left, 7);
}

/// What each purge reads when nothing is old enough, of a table that holds a thousand rows that will be.
#[tokio::test]
async fn a_purge_reads_what_is_old_and_nothing_else() {
    let bench = Bench::new().await;
    let owner = bench.owner().await;
    for rows in [
        "docket.idempotency_keys (tenant_id, principal_id, key, fingerprint, status, body, created_at, expires_at)
         SELECT gen_random_uuid(), gen_random_uuid(), n::text, decode(repeat('00', 32), 'hex'), 200, '', now(), now()",
        "docket.finished_jobs (tenant_id, id, kind, state, payload, priority, attempt, lease_token, requested_by,
                               created_at, finished_at)
         SELECT gen_random_uuid(), gen_random_uuid(), 'probe', 'succeeded', '{}', 3, 1, 1, gen_random_uuid(), now(), now()",
        "docket.delivery_attempts (tenant_id, destination_id, id, event_id, event_type, attempt, outcome, duration_ms,
                                   attempted_at)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'docket.case.created', 1,
                'delivered', 3, now()",
        "docket.chunk_deletions (tenant_id, document_id, generation)
         SELECT gen_random_uuid(), gen_random_uuid(), n",
        "docket.answers (tenant_id, id, principal_id, fingerprint, state, lease_until, question, created_at)
         SELECT (SELECT min(id::text)::uuid FROM docket.tenants), gen_random_uuid(), gen_random_uuid(),
                decode(repeat('00', 32), 'hex'), 'failed', now(), 'why?', now()",
        "docket.model_calls (tenant_id, id, principal_id, purpose, month, state, reserved_nanos, created_at, expires_at)
         SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'answer', '2026-11-01', 'reserved', 1, now(),
                now() + interval '1 hour'",
    ] {
        sqlx::query(sqlx::AssertSqlSafe(format!("INSERT INTO {rows} FROM generate_series(1, 1000) n")))
            .execute(&owner)
            .await
            .unwrap();
    }
    sqlx::query("ANALYZE").execute(&owner).await.unwrap();
    let mut look = bench.pool.begin().await.unwrap();
    for (purge, table) in [
        ("purge_idempotency_keys(100)", "idempotency_keys"),
        ("purge_finished_jobs(interval '7 days', interval '90 days', 100)", "finished_jobs"),
        ("purge_delivery_attempts(interval '30 days', 100)", "delivery_attempts"),
        ("purge_chunk_deletions(interval '30 days', 100)", "chunk_deletions"),
        ("purge_answers(interval '30 days', 100)", "answers"),
        ("settle_lost_model_calls(100)", "model_calls"),
    ] {
        let gone: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT docket.{purge}")))
            .fetch_one(&mut *look)
            .await
            .unwrap();
        let read: i64 =
            sqlx::query_scalar("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = $1")
                .bind(table)
                .fetch_one(&mut *look)
                .await
                .unwrap();
        // The planner looks at the ends of an index.
        assert!(gone == 0 && read < 10, "{purge} removed {gone} and read {read}");
    }
}

#[tokio::test]
async fn a_tenants_trail_is_sealed_and_stored_bytes_are_swept() {
    let bench = Bench::new().await;
    let directory = tempfile::tempdir().unwrap();
    let audit: Arc<dyn AuditStore> = Arc::new(PgAuditStore::new(bench.pool.clone()));
    let signer = Arc::new(Ed25519Signer::open(&directory.path().join("key")).unwrap());
    let clock = Arc::new(SystemClock::new());
    let sign = Arc::new(SignCheckpoint { audit, signer, clock: clock.clone() });
    assert_eq!(once(&bench, sign.clone()).await["number"], 1);
    assert_eq!(once(&bench, sign).await["number"], 2);
    let (blobs, index) = (Arc::new(ObjectBlobStore::in_memory()), Arc::new(PgEvidenceIndex::new(bench.pool.clone())));
    let sweep = Arc::new(SweepEvidence { blobs, index, clock });
    assert_eq!(once(&bench, sweep).await, json!({"seen": 0, "contents_removed": 0, "uploads_removed": 0}));
}

#[test]
fn every_schedule_of_the_maintenance_is_well_formed() {
    assert!(schedules().unwrap().len() >= 8);
}
