//! Hints that there are new jobs: NOTIFY, after the transaction that wrote them, and at most one every few milliseconds.
//!
//! A hint saves waiting for the next poll and promises nothing. Inside the transaction it would make commits wait for
//! each other; lost or never sent, it costs a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;

/// The channel on which workers listen.
pub(super) const CHANNEL: &str = "docket_jobs";
/// How long further hints join the first.
const GATHER: Duration = Duration::from_millis(2);

/// Sends hints.
#[derive(Debug, Clone)]
pub(super) struct JobHint {
    pool: PgPool,
    pending: Arc<AtomicBool>,
}

impl JobHint {
    /// Hints over this pool.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, pending: Arc::default() }
    }

    /// Says that there may be new jobs; returns at once.
    pub fn send(&self) {
        if self.pending.swap(true, Ordering::AcqRel) {
            return;
        }
        let Self { pool, pending } = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GATHER).await;
            pending.store(false, Ordering::Release);
            if let Err(error) = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&pool).await {
                tracing::debug!(%error, "a hint was not sent");
            }
        });
    }
}
