//! Schedules in services that were really started: what is due is enqueued once, and run.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use crate::process::Service;

/// How often a process looks at its schedules (`JobUpkeep`).
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// Waits until a query counts so many rows.
async fn until(pool: &PgPool, what: &str, sql: &'static str, name: &str, wanted: i64) {
    let began = Instant::now();
    loop {
        let found: i64 = sqlx::query_scalar(sql).bind(name).fetch_one(pool).await.unwrap();
        if found == wanted {
            return;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{what}: {found}, not {wanted}, within a minute");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_schedule_that_is_due_is_run_once_by_two_services_and_the_run_is_in_the_database() {
    let data = tempfile::tempdir().unwrap();
    let role = [("DOCKET_SERVER__ROLE", "worker")];
    let mut first = Service::start(data.path(), &role).await;
    let mut second = Service::start(data.path(), &[]).await;
    let (server, pool) = first.database().await;
    // Both come once a day, at 03:25 and 02:40: the one whose own time is far from now.
    let hour: i32 = sqlx::query_scalar("SELECT extract(hour FROM now() AT TIME ZONE 'UTC')::integer")
        .fetch_one(&pool)
        .await
        .unwrap();
    let name = if hour == 3 { "sweep_evidence" } else { "purge_answers" };
    until(&pool, "schedules known", "SELECT count(*) FROM docket.job_schedules WHERE name = $1", name, 1).await;
    let ended = "SELECT count(*) FROM docket.finished_jobs WHERE kind = $1 AND state = 'succeeded'";
    let at_first: i64 = sqlx::query_scalar(ended).bind(name).fetch_one(&pool).await.unwrap();
    assert_eq!(at_first, 0, "a new schedule begins with its next tick");
    // Three of its ticks were missed.
    sqlx::query("UPDATE docket.job_schedules SET last_tick = now() - interval '3 days' WHERE name = $1")
        .bind(name)
        .execute(&pool)
        .await
        .unwrap();
    until(&pool, "runs", ended, name, 1).await;
    // Each of both looks again, more than once.
    tokio::time::sleep(LOOKS_EVERY * 2 + Duration::from_secs(1)).await;
    let sql = "SELECT (SELECT count(*) FROM docket.finished_jobs WHERE kind = $1),
                      (SELECT count(*) FROM docket.jobs WHERE kind = $1)";
    let (ended, waiting): (i64, i64) = sqlx::query_as(sql).bind(name).fetch_one(&pool).await.unwrap();
    assert_eq!((ended, waiting), (1, 0), "three missed ticks and two services are one run");
    let (attempt, result, key): (i16, Option<String>, Option<String>) =
        sqlx::query_as("SELECT attempt, result::text, unique_key FROM docket.finished_jobs WHERE kind = $1")
            .bind(name)
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!((attempt, key), (1, Some(format!("schedule:{name}"))));
    assert!(result.is_some(), "what it did is kept");
    pool.close().await;
    assert_eq!((first.interrupt(), second.interrupt()), (Some(0), Some(0)));
    server.stop().await.unwrap();
}
