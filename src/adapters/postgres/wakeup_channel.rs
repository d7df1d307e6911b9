//! Hints between processes by LISTEN and NOTIFY, in statements of their own.

use async_trait::async_trait;
use docket_domain::ids::TenantId;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use uuid::Uuid;

use super::error::{store_error, unreadable};
use super::pool::beside;
use crate::application::ports::StoreError;
use crate::application::ports::wakeup_channel::{Announcement, Ear, WakeupChannel};

const CHANNEL: &str = "docket_commits";
/// The word for events that the announcing process hands on itself.
const HANDED_ON: &str = "handed_on";
/// The word for events that it leaves to others.
const LEFT: &str = "left";

/// [`WakeupChannel`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgWakeupChannel {
    pool: PgPool,
    /// The name of this process, by which it knows its own hints.
    process: Uuid,
}

impl PgWakeupChannel {
    /// A channel on a pool of [`super::connect`]; each ear keeps a connection of its own.
    pub fn new(pool: PgPool, process: Uuid) -> Self {
        Self { pool, process }
    }
}

#[async_trait]
impl WakeupChannel for PgWakeupChannel {
    async fn announce(&self, tenants: &[TenantId], handed_on: bool) -> Result<(), StoreError> {
        let word = if handed_on { HANDED_ON } else { LEFT };
        let payloads: Vec<String> = tenants.iter().map(|tenant| format!("{} {word} {tenant}", self.process)).collect();
        sqlx::query!("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload", CHANNEL, &payloads[..])
            .execute(&self.pool)
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn listen(&self) -> Result<Box<dyn Ear>, StoreError> {
        let mut listener = PgListener::connect_with(&beside(&self.pool, 1)).await.map_err(store_error)?;
        listener.listen(CHANNEL).await.map_err(store_error)?;
        Ok(Box::new(PgEar { listener, process: self.process.to_string() }))
    }
}

struct PgEar {
    listener: PgListener,
    process: String,
}

#[async_trait]
impl Ear for PgEar {
    async fn next(&mut self) -> Result<Announcement, StoreError> {
        loop {
            let notice = self.listener.recv().await.map_err(store_error)?;
            let mut words = notice.payload().split(' ');
            // What is not of this form is of a release that says it otherwise: polling finds it.
            let (Some(process), Some(word), Some(tenant)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if process != self.process {
                return Ok(Announcement { tenant: tenant.parse().map_err(unreadable)?, handed_on: word == HANDED_ON });
            }
        }
    }
}
