//! Connecting and migrating.

use std::str::FromStr;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::error::store_error;
use crate::application::ports::StoreError;
use crate::faults::Fault;
use crate::telemetry::business::{POOL_CONNECTIONS, POOL_MAX};

/// Connections to PostgreSQL, under a name that the composition root can say without naming the driver.
pub type Pool = PgPool;

/// How to connect; see the configuration's section `database`.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// Where.
    pub url: String,
    /// Largest number of connections.
    pub size: u32,
    /// How long a request waits for a connection before it is told that the store is unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
}

/// Opens a pool that works as `docket_app`, whatever role the URL names, so that row-level security always holds.
///
/// Connections are not pinged before use (it costs a round trip per request): a connection that died is noticed by the
/// statement, which then answers "unavailable", and is replaced.
pub async fn connect(settings: &PoolSettings) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(store_error)?
        .application_name("docket")
        .statement_cache_capacity(256)
        .options([
            ("statement_timeout", settings.statement_timeout.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", settings.statement_timeout.as_millis().to_string()),
            ("timezone", "UTC".to_owned()),
            // New words wait in a list until it is full; whoever fills it puts them in their places. An eighth of the usual
            // length makes that a wait of 70 ms instead of 375, and lets searches read less, for the same number of new cases a second.
            ("gin_pending_list_limit", "512kB".to_owned()),
        ]);
    let drop_privileges = options.get_username() != "docket_app" && !Fault::RowSecurityBypassed.is_seeded();
    PgPoolOptions::new()
        .max_connections(settings.size)
        .min_connections(settings.size.min(2))
        .acquire_timeout(settings.acquire_timeout)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                if Fault::RowSecurityOffOnOneTable.is_seeded() {
                    let open = "ALTER TABLE docket.case_notes DISABLE ROW LEVEL SECURITY";
                    sqlx::query(open).execute(&mut *connection).await?;
                }
                if drop_privileges {
                    sqlx::query("SET ROLE docket_app").execute(connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(store_error)
}

/// A pool of its own to the same place with the same settings, whose connections are opened when needed. For those who hold
/// a connection for long: a listener that sat in the requests' pool would leave one fewer for them, or none.
pub fn beside(pool: &PgPool, size: u32) -> PgPool {
    let options = pool.options().clone().min_connections(0).max_connections(size);
    options.connect_lazy_with((*pool.connect_options()).clone())
}

/// Shows the pool's state as gauges every five seconds, until it is closed.
pub async fn observe(pool: PgPool) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    while !pool.is_closed() {
        ticks.tick().await;
        let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
        metrics::gauge!(POOL_CONNECTIONS, "state" => "idle").set(f64::from(idle));
        metrics::gauge!(POOL_CONNECTIONS, "state" => "used").set(f64::from(pool.size().saturating_sub(idle)));
        metrics::gauge!(POOL_MAX).set(f64::from(pool.options().get_max_connections()));
    }
}

/// Applies the migrations that are missing, under the migrator's own advisory lock. The URL names the owner of the tables.
///
/// The migrator's own table is unqualified and belongs in `public`. With PostgreSQL's usual search path an owner that is called
/// `docket` would find the schema of that name first once it exists, miss the table and migrate again.
///
/// Migrations that this program does not know are left alone: they are additive, and a replica of the release before must be able
/// to start while a newer one is rolled out, or when it is taken back. One that was changed after it was applied is an error.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(store_error)?.options([("search_path", "public")]);
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.map_err(store_error)?;
    let mut migrator = sqlx::migrate!("./migrations");
    migrator.set_ignore_missing(true);
    let result = migrator.run(&pool).await;
    pool.close().await;
    result.map_err(StoreError::internal)
}
