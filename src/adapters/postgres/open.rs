//! Opening the database: the given server, or the embedded one; migrated either way.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::{Connection, PgConnection, PgPool};

use super::embedded::{EmbeddedPostgres, EmbeddedSettings};
use super::error::store_error;
use super::pool::{PoolSettings, connect, migrate};
use crate::application::ports::StoreError;

/// The database that the service keeps its data in on the embedded server.
const DATABASE: &str = "docket";

/// Which database, and how to use it.
#[derive(Debug, Clone)]
pub struct OpenSettings {
    /// The service's connection; none for the embedded server.
    pub url: Option<String>,
    /// The owner's connection, if it is another.
    pub migration_url: Option<String>,
    /// Where the embedded server keeps its files.
    pub embedded_data_dir: PathBuf,
    /// Where the embedded server is installed, if not in the virtual environment.
    pub embedded_install_dir: Option<PathBuf>,
    /// Connections in the pool.
    pub pool_size: u32,
    /// How long to wait for one.
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
}

/// An open database.
pub struct OpenDatabase {
    /// Connections as the service's role.
    pub pool: PgPool,
    embedded: Option<EmbeddedPostgres>,
}

/// Starts or adopts the server where it is ours, applies missing migrations, connects.
pub async fn open(settings: &OpenSettings) -> Result<OpenDatabase, StoreError> {
    let (url, owner_url, embedded) = if let Some(url) = &settings.url {
        (url.clone(), settings.migration_url.clone().unwrap_or_else(|| url.clone()), None)
    } else {
        let server = start_embedded(settings).await?;
        (server.url("docket_app", DATABASE), server.url(server.superuser(), DATABASE), Some(server))
    };
    migrate(&owner_url).await?;
    let pool = connect(&PoolSettings {
        url,
        size: settings.pool_size,
        acquire_timeout: settings.acquire_timeout,
        statement_timeout: settings.statement_timeout,
    })
    .await?;
    Ok(OpenDatabase { pool, embedded })
}

impl OpenDatabase {
    /// Closes the pool, and stops the embedded server if no other process uses it.
    pub async fn close(self) -> Result<(), StoreError> {
        self.pool.close().await;
        if let Some(server) = self.embedded {
            server.stop().await.map_err(StoreError::internal)?;
        }
        Ok(())
    }
}

async fn start_embedded(settings: &OpenSettings) -> Result<EmbeddedPostgres, StoreError> {
    let connections = u16::try_from(settings.pool_size).unwrap_or(u16::MAX).saturating_mul(4).clamp(100, 1_000);
    let embedded = EmbeddedSettings {
        install_dir: settings.embedded_install_dir.clone(),
        max_connections: connections,
        ..EmbeddedSettings::new(&settings.embedded_data_dir)
    };
    let server = EmbeddedPostgres::start(&embedded).await.map_err(|error| StoreError::Unavailable(error.into()))?;
    create_database(&server.url(server.superuser(), "postgres")).await?;
    Ok(server)
}

async fn create_database(url: &str) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect(url).await.map_err(store_error)?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await
        .map_err(store_error)?;
    if !exists {
        let created = sqlx::query("CREATE DATABASE docket").execute(&mut connection).await;
        // Another process that starts at the same moment may be faster: then it exists, which is all we want.
        if let Err(error) = created {
            let duplicate = error.as_database_error().and_then(|cause| cause.code().map(|code| code == "42P04"));
            if duplicate != Some(true) {
                return Err(store_error(error));
            }
        }
    }
    connection.close().await.map_err(store_error)
}
