//! What the service stands on, measured: its parts, the database server behind the pool, the disk under its files.

use metrics::Unit;

use super::metrics::{Kind, Metric, metric};

/// Whether a part of `/readyz` is up.
pub const DEPENDENCY_UP: &str = "docket_dependency_up";
/// Requests that waited in vain for a connection.
pub const POOL_TIMEOUTS: &str = "db_client_connection_timeouts_total";
/// Sessions of the server.
pub const SESSIONS: &str = "docket_postgres_sessions";
/// Sessions that the server allows.
pub const SESSIONS_MAX: &str = "docket_postgres_sessions_max";
/// Locks that somebody waits for.
pub const LOCKS_AWAITED: &str = "docket_postgres_locks_awaited";
/// The longest wait for a lock.
pub const LONGEST_LOCK_WAIT: &str = "docket_postgres_longest_lock_wait_seconds";
/// The transaction that holds readers back.
pub const OLDEST_TRANSACTION: &str = "docket_postgres_oldest_transaction_seconds";
/// Transactions.
pub const TRANSACTIONS: &str = "docket_postgres_transactions_total";
/// Deadlocks.
pub const DEADLOCKS: &str = "docket_postgres_deadlocks_total";
/// Blocks read.
pub const BLOCKS: &str = "docket_postgres_blocks_total";
/// The size of the database.
pub const DATABASE_BYTES: &str = "docket_postgres_database_bytes";
/// Room left for files.
pub const DISK_FREE: &str = "docket_data_dir_free_bytes";
/// Room for files.
pub const DISK_SIZE: &str = "docket_data_dir_size_bytes";

/// Every metric of what the service stands on.
pub const METRICS: &[Metric] = &[
    metric(
        DEPENDENCY_UP,
        Kind::Gauge,
        Unit::Count,
        "Whether a part that /readyz names is up: 1 or 0, looked at every five seconds.",
        &["dependency"],
    ),
    metric(
        POOL_TIMEOUTS,
        Kind::Counter,
        Unit::Count,
        "Times that no connection came free within database.acquire_timeout_ms.",
        &[],
    ),
    metric(SESSIONS, Kind::Gauge, Unit::Count, "Sessions of the database, of all clients.", &[]),
    metric(SESSIONS_MAX, Kind::Gauge, Unit::Count, "Sessions that the server allows (max_connections).", &[]),
    metric(LOCKS_AWAITED, Kind::Gauge, Unit::Count, "Locks of this database that somebody waits for.", &[]),
    metric(
        LONGEST_LOCK_WAIT,
        Kind::Gauge,
        Unit::Seconds,
        "How long the statement that waits longest for a lock has waited.",
        &[],
    ),
    metric(
        OLDEST_TRANSACTION,
        Kind::Gauge,
        Unit::Seconds,
        "How long the oldest writing transaction has been seen open; events and passages committed after it began wait for it.",
        &[],
    ),
    metric(
        TRANSACTIONS,
        Kind::Counter,
        Unit::Count,
        "Transactions of this database since its statistics began: commit or rollback.",
        &["outcome"],
    ),
    metric(DEADLOCKS, Kind::Counter, Unit::Count, "Deadlocks of this database since its statistics began.", &[]),
    metric(
        BLOCKS,
        Kind::Counter,
        Unit::Count,
        "Blocks of 8 KiB read, from the server's cache (hit) or from below (read).",
        &["from"],
    ),
    metric(DATABASE_BYTES, Kind::Gauge, Unit::Bytes, "Size of the database on disk.", &[]),
    metric(DISK_FREE, Kind::Gauge, Unit::Bytes, "Room that is left on the file system of data_dir.", &[]),
    metric(DISK_SIZE, Kind::Gauge, Unit::Bytes, "Size of the file system of data_dir.", &[]),
];
