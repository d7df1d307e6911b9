//! Cursors and lanes in PostgreSQL. Each method is one or two statements, and each statement its own transaction.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::{CaseId, DestinationId, EventId, TenantId};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::{signed, unsigned};
use super::error::{store_error, unreadable};
use super::patience::Patience;
use super::{delivery_log, relay_cursors};
use crate::application::ports::StoreError;
use crate::application::ports::event_feed::{FeedPosition, StoredEvent};
use crate::application::ports::event_sink::Start;
use crate::application::ports::relay_store::{
    ClaimedHead, Diverted, EndpointTarget, HeldCursor, LaneClaim, Outcome, ReadEvent, RelayStore, Room, Settlement,
    Waiting,
};

/// How often a settlement is run again because the lane got its next event meanwhile.
const SETTLE_ATTEMPTS: u32 = 3;

/// [`RelayStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgRelayStore {
    pool: PgPool,
    patience: Patience,
}

impl PgRelayStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { patience: Patience::of(&pool), pool }
    }
}

/// A lane that was claimed, before its head is known.
struct Claimed {
    destination_id: Uuid,
    case_id: Uuid,
    sink: Option<String>,
    attempts: i16,
    failed_at: Option<OffsetDateTime>,
    lease_token: Uuid,
}

#[async_trait]
impl RelayStore for PgRelayStore {
    async fn backlog(&self, sinks: &[&str]) -> Result<Vec<(TenantId, String)>, StoreError> {
        let sinks: Vec<String> = sinks.iter().map(|&name| name.to_owned()).collect();
        let statement = sqlx::query!(
            r#"SELECT tenant AS "tenant!", reader AS "reader!" FROM docket.relay_backlog($1)"#,
            &sinks[..]
        );
        let rows = self.patience.wait(statement.fetch_all(&self.pool)).await.map_err(store_error)?;
        Ok(rows.into_iter().map(|row| (TenantId(row.tenant), row.reader)).collect())
    }

    async fn fan_out(&self, tenant: TenantId, limit: u32) -> Result<Option<u32>, StoreError> {
        let statement =
            sqlx::query_file!("src/adapters/postgres/sql/relay_fan_out.sql", tenant.to_string(), i64::from(limit));
        let row = self.patience.wait(statement.fetch_one(&self.pool)).await.map_err(store_error)?;
        // A cursor that somebody else holds: there are endpoints, and nothing to do for us.
        Ok((row.mine || row.kept).then(|| u32::try_from(row.passed).unwrap_or(0)))
    }

    async fn claim(&self, tenant: TenantId, room: &Room, lease: Duration) -> Result<Vec<ClaimedHead>, StoreError> {
        let narrow = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let (ids, rooms): (Vec<Uuid>, Vec<i32>) = room.of.iter().map(|(id, room)| (id.0, narrow(*room))).unzip();
        let sinks: Vec<Uuid> = room.sinks.iter().map(|id| id.0).collect();
        let statement = sqlx::query_file_as!(
            Claimed,
            "src/adapters/postgres/sql/relay_claim.sql",
            tenant.to_string(),
            narrow(room.each),
            &ids[..],
            &rooms[..],
            &sinks[..],
            i64::from(room.total),
            lease.as_secs_f64()
        );
        let claimed = self.patience.wait(statement.fetch_all(&self.pool)).await.map_err(store_error)?;
        if claimed.is_empty() { Ok(Vec::new()) } else { self.heads(tenant, claimed).await }
    }

    async fn settle(&self, tenant: TenantId, settlement: &Settlement) -> Result<bool, StoreError> {
        if let Some(attempt) = &settlement.attempt {
            self.patience.whole(delivery_log::record(&self.pool, tenant, attempt)).await?;
        }
        let (attempts, state, after) = match &settlement.outcome {
            Outcome::Delivered => (Some(0), "ready", Duration::ZERO),
            Outcome::Retry { attempts, after } => (Some(*attempts), "ready", *after),
            Outcome::Dead { attempts } => (Some(*attempts), "dead", Duration::ZERO),
            Outcome::Disable => (None, "ready", Duration::ZERO),
        };
        let failed_at = match &settlement.outcome {
            Outcome::Retry { .. } => settlement.attempt.as_ref().map(|attempt| attempt.attempted_at),
            Outcome::Delivered | Outcome::Dead { .. } | Outcome::Disable => None,
        };
        for _ in 0..SETTLE_ATTEMPTS {
            let statement = sqlx::query_file!(
                "src/adapters/postgres/sql/relay_settle.sql",
                tenant.to_string(),
                settlement.destination.0,
                settlement.case_id.0,
                settlement.token,
                settlement.outcome == Outcome::Delivered,
                signed(settlement.sequence),
                attempts.map(|attempts| i16::try_from(attempts).unwrap_or(i16::MAX)),
                state,
                after.as_secs_f64(),
                settlement.error.as_deref(),
                settlement.outcome == Outcome::Disable,
                failed_at
            );
            let row = self.patience.wait(statement.fetch_one(&self.pool)).await.map_err(store_error)?;
            if row.settled > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn took_since(
        &self,
        tenant: TenantId,
        destination: DestinationId,
        since: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        self.patience.whole(delivery_log::took_since(&self.pool, tenant, destination, since)).await
    }

    async fn hand_back(&self, tenant: TenantId, claims: &[LaneClaim]) -> Result<u64, StoreError> {
        let destinations: Vec<Uuid> = claims.iter().map(|claim| claim.destination.0).collect();
        let cases: Vec<Uuid> = claims.iter().map(|claim| claim.case_id.0).collect();
        let tokens: Vec<Uuid> = claims.iter().map(|claim| claim.token).collect();
        let statement = sqlx::query_file!(
            "src/adapters/postgres/sql/relay_hand_back.sql",
            tenant.to_string(),
            &destinations[..],
            &cases[..],
            &tokens[..]
        );
        let row = self.patience.wait(statement.fetch_one(&self.pool)).await.map_err(store_error)?;
        Ok(unsigned(row.freed))
    }

    async fn acquire(
        &self,
        tenant: TenantId,
        sink: &str,
        start: Start,
        lease: Duration,
    ) -> Result<Option<HeldCursor>, StoreError> {
        self.patience.whole(relay_cursors::acquire(&self.pool, tenant, sink, start, lease)).await
    }

    async fn read(
        &self,
        tenant: TenantId,
        sink: &str,
        after: FeedPosition,
        limit: u32,
    ) -> Result<Vec<ReadEvent>, StoreError> {
        self.patience.whole(relay_cursors::read(&self.pool, tenant, sink, after, limit)).await
    }

    async fn advance(
        &self,
        tenant: TenantId,
        sink: &str,
        cursor: HeldCursor,
        diverted: &[Diverted],
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.patience.whole(relay_cursors::advance(&self.pool, tenant, sink, cursor, diverted, lease)).await
    }

    async fn release(&self, tenant: TenantId, sink: &str, token: Uuid) -> Result<(), StoreError> {
        self.patience.whole(relay_cursors::release(&self.pool, tenant, sink, token)).await
    }

    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        let statement = sqlx::query!(
            r#"SELECT sink AS "sink!", sum(pending)::bigint AS "pending!", sum(dead)::bigint AS "dead!",
                      sum(parked)::bigint AS "parked!", max(oldest_seconds) AS "oldest!"
               FROM docket.relay_waiting() GROUP BY sink"#
        );
        let rows = self.patience.wait(statement.fetch_all(&self.pool)).await.map_err(store_error)?;
        let waiting = rows.into_iter().map(|row| Waiting {
            sink: row.sink,
            pending: unsigned(row.pending),
            dead: unsigned(row.dead),
            parked: unsigned(row.parked),
            oldest_seconds: row.oldest,
        });
        Ok(waiting.collect())
    }
}

impl PgRelayStore {
    /// The heads of claimed lanes. A lane without one has just been emptied by an administrator.
    async fn heads(&self, tenant: TenantId, claimed: Vec<Claimed>) -> Result<Vec<ClaimedHead>, StoreError> {
        let destinations: Vec<Uuid> = claimed.iter().map(|lane| lane.destination_id).collect();
        let cases: Vec<Uuid> = claimed.iter().map(|lane| lane.case_id).collect();
        let statement = sqlx::query_file!(
            "src/adapters/postgres/sql/relay_heads.sql",
            tenant.to_string(),
            &destinations[..],
            &cases[..]
        );
        let rows = self.patience.wait(statement.fetch_all(&self.pool)).await.map_err(store_error)?;
        let mut heads = Vec::with_capacity(rows.len());
        for row in rows {
            let of = |lane: &&Claimed| lane.destination_id == row.destination_id && lane.case_id == row.case_id;
            let Some(lane) = claimed.iter().find(of) else { continue };
            let (id, secrets) = (row.destination_id.into(), row.secrets);
            heads.push(ClaimedHead {
                destination: DestinationId(row.destination_id),
                sink: lane.sink.clone(),
                endpoint: row.url.map(|url| EndpointTarget { id, url, secrets }),
                attempts: u16::try_from(lane.attempts).unwrap_or(0),
                failed_at: lane.failed_at,
                token: lane.lease_token,
                event: StoredEvent {
                    id: EventId(row.id),
                    tenant_id: tenant,
                    case_id: CaseId(row.case_id),
                    sequence: unsigned(row.sequence),
                    event_type: row.r#type.parse().map_err(unreadable)?,
                    traceparent: row.traceparent,
                    data: row.data,
                    occurred_at: row.occurred_at,
                    transaction_id: unsigned(row.transaction_id),
                },
            });
        }
        Ok(heads)
    }
}
