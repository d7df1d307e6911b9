//! What the database server says about itself, shown as gauges: sessions, locks, transactions, cache, size.
//!
//! Only views that every role may read. `pg_stat_activity` shows an ordinary role nothing of other sessions; `pg_locks`
//! shows them all.

use std::time::Duration;

use sqlx::PgPool;

use super::pool::beside;
use crate::telemetry::dependencies::{
    BLOCKS, DATABASE_BYTES, DEADLOCKS, LOCKS_AWAITED, LONGEST_LOCK_WAIT, SESSIONS, SESSIONS_MAX, TRANSACTIONS,
};

/// How often the server is asked: one short statement.
const EVERY: Duration = Duration::from_secs(5);

/// Shows the statistics until the pool is closed. A server that does not answer leaves the last values standing;
/// `docket_dependency_up` says that it does not answer.
pub async fn observe(pool: PgPool) {
    // A connection of its own: what happens when the pool is exhausted is just what one wants to see.
    let own = beside(&pool, 1);
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !pool.is_closed() {
        ticks.tick().await;
        if let Err(error) = show(&own).await {
            tracing::debug!(%error, "the statistics of the server could not be read");
        }
    }
}

async fn show(pool: &PgPool) -> Result<(), sqlx::Error> {
    let now = sqlx::query!(
        r#"SELECT numbackends AS "sessions!", current_setting('max_connections')::int4 AS "sessions_max!",
                  xact_commit AS "committed!", xact_rollback AS "rolled_back!", deadlocks AS "deadlocks!",
                  blks_hit AS "hit!", blks_read AS "read!", pg_database_size(datid) AS "bytes!",
                  (SELECT count(*) FROM pg_locks WHERE NOT granted AND (database = datid OR database IS NULL))
                      AS "locks_awaited!",
                  (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - waitstart)), 0)::float8 FROM pg_locks
                      WHERE NOT granted AND (database = datid OR database IS NULL)) AS "longest_wait!"
             FROM pg_stat_database WHERE datname = current_database()"#
    )
    .fetch_one(pool)
    .await?;
    metrics::gauge!(SESSIONS).set(f64::from(now.sessions));
    metrics::gauge!(SESSIONS_MAX).set(f64::from(now.sessions_max));
    #[allow(clippy::cast_precision_loss, reason = "gauges")]
    {
        metrics::gauge!(LOCKS_AWAITED).set(now.locks_awaited as f64);
        metrics::gauge!(DATABASE_BYTES).set(now.bytes as f64);
    }
    metrics::gauge!(LONGEST_LOCK_WAIT).set(now.longest_wait.max(0.0));
    let counts = [
        (TRANSACTIONS, "outcome", "commit", now.committed),
        (TRANSACTIONS, "outcome", "rollback", now.rolled_back),
        (BLOCKS, "from", "hit", now.hit),
        (BLOCKS, "from", "read", now.read),
    ];
    for (name, label, word, count) in counts {
        metrics::counter!(name, label => word).absolute(count.unsigned_abs());
    }
    metrics::counter!(DEADLOCKS).absolute(now.deadlocks.unsigned_abs());
    Ok(())
}
