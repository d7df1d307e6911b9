//! What the database server says about itself, shown as gauges: sessions, locks, transactions, cache, size.
//!
//! Only views that every role may read. `pg_stat_activity` shows an ordinary role nothing of other sessions; `pg_locks`
//! shows them all. Neither tells an ordinary role when a transaction began, so the oldest one is timed from when it was first seen.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::pool::beside;
use crate::telemetry::dependencies::{
    BLOCKS, DATABASE_BYTES, DEADLOCKS, LOCKS_AWAITED, LONGEST_LOCK_WAIT, OLDEST_TRANSACTION, SESSIONS, SESSIONS_MAX,
    TRANSACTIONS,
};

/// How often the server is asked: one short statement.
const EVERY: Duration = Duration::from_secs(5);

/// Shows the statistics until the pool is closed. A server that does not answer leaves the last values standing;
/// `docket_dependency_up` says that it does not answer.
pub async fn observe(pool: PgPool) {
    // A connection of its own: what happens when the pool is exhausted is just what one wants to see.
    let own = beside(&pool, 1);
    let mut oldest = Oldest::default();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !pool.is_closed() {
        ticks.tick().await;
        if let Err(error) = show(&own, &mut oldest).await {
            tracing::debug!(%error, "the statistics of the server could not be read");
        }
    }
}

/// The oldest transaction that writes, and since when it has been that.
#[derive(Default)]
struct Oldest(Option<(String, Instant)>);

impl Oldest {
    /// Seconds for which the same transaction has been the oldest. `xmin` is the oldest one that runs, `xmax` the next to begin:
    /// equal, and none runs.
    fn seen(&mut self, xmin: String, xmax: &str) -> f64 {
        match &self.0 {
            _ if xmin == xmax => self.0 = None,
            Some((known, since)) if *known == xmin => return since.elapsed().as_secs_f64(),
            _ => self.0 = Some((xmin, Instant::now())),
        }
        0.0
    }
}

async fn show(pool: &PgPool, oldest: &mut Oldest) -> Result<(), sqlx::Error> {
    let now = sqlx::query!(
        r#"SELECT numbackends AS "sessions!", current_setting('max_connections')::int4 AS "sessions_max!",
                  xact_commit AS "committed!", xact_rollback AS "rolled_back!", deadlocks AS "deadlocks!",
                  blks_hit AS "hit!", blks_read AS "read!", pg_database_size(datid) AS "bytes!",
                  (SELECT count(*) FROM pg_locks WHERE NOT granted AND (database = datid OR database IS NULL))
                      AS "locks_awaited!",
                  (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - waitstart)), 0)::float8 FROM pg_locks
                      WHERE NOT granted AND (database = datid OR database IS NULL)) AS "longest_wait!",
                  pg_snapshot_xmin(pg_current_snapshot())::text AS "xmin!",
                  pg_snapshot_xmax(pg_current_snapshot())::text AS "xmax!"
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
    metrics::gauge!(OLDEST_TRANSACTION).set(oldest.seen(now.xmin, &now.xmax));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_transaction_that_stays_the_oldest_grows_old() {
        let mut oldest = Oldest::default();
        let mut seen = |xmin: &str, xmax| oldest.seen(xmin.to_owned(), xmax) > 0.0;
        assert!(!seen("7", "7") && !seen("7", "9") && seen("7", "12"));
        assert!(!seen("9", "12"), "another one is the oldest now");
        assert!(!seen("12", "12") && !seen("12", "13"), "it ended, and the next began");
    }
}
