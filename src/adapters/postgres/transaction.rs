//! Beginning a transaction so that whoever gives up waiting leaves none behind.
//!
//! `Pool::begin` of sqlx 0.9 counts a transaction only when the server has answered `BEGIN`. Is its future dropped before
//! that (a deadline, a client that hung up), then the connection goes back to the pool inside a transaction that nobody will
//! end: later statements on it seem to succeed and are never committed. Here a task of its own waits for the answer; what it
//! began for nobody is rolled back when the transaction is dropped.

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use tracing::Instrument as _;

/// Begins a transaction.
///
/// # Errors
/// The errors of `Pool::begin`.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN".to_owned()).await
}

/// Begins a transaction with a statement of its own, for instance `BEGIN READ ONLY`. The statement is sent as it is: it
/// must hold nothing that a client wrote.
///
/// # Errors
/// The errors of `Pool::begin_with`.
pub async fn begin_with(pool: &PgPool, statement: String) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let pool = pool.clone();
    #[allow(clippy::disallowed_methods, reason = "this task is never dropped half-way")]
    let beginning = async move { pool.begin_with(AssertSqlSafe(statement)).await };
    tokio::spawn(beginning.in_current_span()).await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}
