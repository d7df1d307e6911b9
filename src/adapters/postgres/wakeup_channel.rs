//! Hints between processes by LISTEN and NOTIFY, in statements of their own.

use async_trait::async_trait;
use docket_domain::ids::TenantId;
use sqlx::PgPool;
use sqlx::postgres::PgListener;

use super::error::{store_error, unreadable};
use super::pool::beside;
use crate::application::ports::StoreError;
use crate::application::ports::wakeup_channel::{Ear, WakeupChannel};

const CHANNEL: &str = "docket_events";

/// [`WakeupChannel`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgWakeupChannel {
    pool: PgPool,
}

impl PgWakeupChannel {
    /// A channel on a pool of [`super::connect`]; each ear keeps one of its connections.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl WakeupChannel for PgWakeupChannel {
    async fn announce(&self, tenants: &[TenantId]) -> Result<(), StoreError> {
        let payloads: Vec<String> = tenants.iter().map(ToString::to_string).collect();
        sqlx::query!("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", CHANNEL, &payloads[..])
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError> {
        let mut listener = PgListener::connect_with(&beside(&self.pool, 1)).await.map_err(store_error)?;
        listener.listen(CHANNEL).await.map_err(store_error)?;
        Ok(Box::new(PgEar(listener)))
    }
}

struct PgEar(PgListener);

#[async_trait]
impl Ear for PgEar {
    async fn next(&mut self) -> Result<TenantId, StoreError> {
        let notice = self.0.recv().await.map_err(store_error)?;
        notice.payload().parse().map_err(unreadable)
    }
}
