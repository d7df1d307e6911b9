//! From what PostgreSQL says to what the application needs to know.

use crate::application::ports::StoreError;
use crate::telemetry::dependencies::POOL_TIMEOUTS;
use crate::telemetry::statement_failed;

/// Sorts a driver's error into unavailable, full and internal, and marks the statement's span as failed.
pub fn store_error(error: sqlx::Error) -> StoreError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        metrics::counter!(POOL_TIMEOUTS).increment(1);
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned);
    statement_failed(code, class(&error));
    match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => StoreError::Unavailable(error.into()),
        sqlx::Error::Database(database) => match database.code().as_deref().unwrap_or_default() {
            // disk_full
            "53100" => StoreError::Full(error.into()),
            // connection exceptions, insufficient resources, operator intervention (shutdown, terminated backend),
            // serialisation failures and deadlocks, lock and statement timeouts, "cannot connect now", read-only standby
            code if code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57")
                || matches!(code, "40001" | "40P01" | "55P03" | "25006") =>
            {
                StoreError::Unavailable(error.into())
            }
            _ => StoreError::Internal(error.into()),
        },
        _ => StoreError::Internal(error.into()),
    }
}

/// The class of a failure for which the database gave no code.
const fn class(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::Database(_) => "database",
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => "connection",
        sqlx::Error::PoolTimedOut => "pool_timeout",
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => "pool_closed",
        _ => "client",
    }
}

/// The name of the constraint that an insert or update broke, if that is what happened.
pub fn broken_constraint(error: &sqlx::Error) -> Option<&str> {
    match error {
        sqlx::Error::Database(database) => database.constraint(),
        _ => None,
    }
}

/// A value in the database that the domain does not know.
pub fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::internal(error)
}
