//! Removing what is no longer needed, by the functions of `migrations/0008_jobs.sql`, `0026` and `0033`.

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::types::PgInterval;
use time::Duration;

use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::housekeeping::Housekeeping;

/// [`Housekeeping`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgHousekeeping {
    pool: PgPool,
}

impl PgHousekeeping {
    /// Over a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Housekeeping for PgHousekeeping {
    async fn purge_idempotency_keys(&self, limit: u32) -> Result<u64, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let gone = sqlx::query_scalar!(r#"SELECT docket.purge_idempotency_keys($1) AS "gone!""#, limit);
        let gone = gone.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }

    async fn purge_finished_jobs(&self, age: Duration, dead_age: Duration, limit: u32) -> Result<u64, StoreError> {
        let gone = sqlx::query_scalar!(
            r#"SELECT docket.purge_finished_jobs($1, $2, $3) AS "gone!""#,
            interval(age),
            interval(dead_age),
            i32::try_from(limit).unwrap_or(i32::MAX)
        );
        let gone = gone.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }

    async fn purge_delivery_attempts(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let gone =
            sqlx::query_scalar!(r#"SELECT docket.purge_delivery_attempts($1, $2) AS "gone!""#, interval(age), limit);
        let gone = gone.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }

    async fn purge_chunk_deletions(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let gone =
            sqlx::query_scalar!(r#"SELECT docket.purge_chunk_deletions($1, $2) AS "gone!""#, interval(age), limit);
        let gone = gone.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }
}

pub(super) fn interval(age: Duration) -> PgInterval {
    let microseconds = i64::try_from(age.whole_microseconds()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
