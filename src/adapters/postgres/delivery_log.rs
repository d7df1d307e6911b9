//! Endpoints, lanes and the delivery log in PostgreSQL: reading, and adding lines to the log.

use async_trait::async_trait;
use docket_domain::case::EventType;
use docket_domain::ids::{CaseId, DestinationId, EndpointId, EventId, TenantId};
use docket_domain::webhook::Endpoint;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::{signed, unsigned};
use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::delivery_log::{Attempt, DeliveryLog, LaneFilter, LaneKey, WaitingLane};
use crate::application::ports::relay_store::EndpointTarget;

/// [`DeliveryLog`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgDeliveryLog {
    pool: PgPool,
}

impl PgDeliveryLog {
    /// A log on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

/// Adds a line; the same line again changes nothing.
pub(super) async fn record(pool: &PgPool, tenant: TenantId, attempt: &Attempt) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         INSERT INTO docket.delivery_attempts
             (tenant_id, destination_id, id, event_id, event_type, case_id, sequence, attempt, outcome, status,
              duration_ms, detail, attempted_at)
         SELECT $1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13 FROM context WHERE ready
         ON CONFLICT DO NOTHING",
        tenant.to_string(),
        attempt.destination.0,
        attempt.id,
        attempt.event_id.0,
        attempt.event_type,
        attempt.case_id.map(|id| id.0),
        attempt.sequence.map(signed),
        i16::try_from(attempt.attempt).unwrap_or(i16::MAX),
        attempt.outcome,
        attempt.status.and_then(|status| i16::try_from(status).ok()),
        i32::try_from(attempt.duration_ms).unwrap_or(i32::MAX),
        attempt.detail.as_deref(),
        attempt.attempted_at
    )
    .execute(pool)
    .await
    .map_err(store_error)?;
    Ok(())
}

/// Whether something was taken after `since`. Ids of the log begin with their time, so what is older is never looked at.
pub(super) async fn took_since(
    pool: &PgPool,
    tenant: TenantId,
    destination: DestinationId,
    since: OffsetDateTime,
) -> Result<bool, StoreError> {
    let millis = u64::try_from(since.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    let row = sqlx::query!(
        r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
           SELECT count(*) > 0 AS "taken!" FROM (
               SELECT FROM docket.delivery_attempts
               WHERE (SELECT ready FROM context) AND destination_id = $2 AND id > $3 AND attempted_at > $4
                 AND outcome = 'delivered' LIMIT 1
           ) AS one"#,
        tenant.to_string(),
        destination.0,
        uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid(),
        since
    )
    .fetch_one(pool)
    .await
    .map_err(store_error)?;
    Ok(row.taken)
}

/// A row of `webhook_endpoints`.
struct EndpointRow {
    id: Uuid,
    name: String,
    url: String,
    event_types: Vec<String>,
    enabled: bool,
    disabled_reason: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<EndpointRow> for Endpoint {
    type Error = StoreError;

    fn try_from(row: EndpointRow) -> Result<Self, StoreError> {
        let types: Result<Vec<EventType>, _> = row.event_types.iter().map(|name| name.parse()).collect();
        Ok(Self {
            id: EndpointId(row.id),
            name: row.name,
            url: row.url,
            event_types: types.map_err(unreadable)?,
            enabled: row.enabled,
            disabled_reason: row.disabled_reason,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[async_trait]
impl DeliveryLog for PgDeliveryLog {
    async fn endpoints(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Endpoint>, StoreError> {
        let rows = sqlx::query_as!(
            EndpointRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, name, url, event_types, enabled, disabled_reason, created_at, updated_at
             FROM docket.webhook_endpoints
             WHERE (SELECT ready FROM context) AND id > $2 ORDER BY id LIMIT $3",
            tenant.to_string(),
            after.unwrap_or(Uuid::nil()),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn endpoint(&self, tenant: TenantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let row = sqlx::query_as!(
            EndpointRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, name, url, event_types, enabled, disabled_reason, created_at, updated_at
             FROM docket.webhook_endpoints WHERE (SELECT ready FROM context) AND id = $2",
            tenant.to_string(),
            id.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn target(&self, tenant: TenantId, id: EndpointId) -> Result<Option<EndpointTarget>, StoreError> {
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT w.url, ARRAY(SELECT s.sealed FROM docket.webhook_secrets s
                                 WHERE s.endpoint_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())
                                 ORDER BY s.created_at DESC, s.id DESC) AS "secrets!"
             FROM docket.webhook_endpoints w WHERE (SELECT ready FROM context) AND w.id = $2"#,
            tenant.to_string(),
            id.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.map(|row| EndpointTarget { id, url: row.url, secrets: row.secrets }))
    }

    async fn attempts(
        &self,
        tenant: TenantId,
        destination: DestinationId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, event_id, event_type, case_id, sequence, attempt, outcome, status, duration_ms, detail, attempted_at
             FROM docket.delivery_attempts
             WHERE (SELECT ready FROM context) AND destination_id = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
            tenant.to_string(),
            destination.0,
            after.unwrap_or(Uuid::max()),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let attempts = rows.into_iter().map(|row| Attempt {
            id: row.id,
            destination,
            event_id: EventId(row.event_id),
            event_type: row.event_type,
            case_id: row.case_id.map(CaseId),
            sequence: row.sequence.map(unsigned),
            attempt: u16::try_from(row.attempt).unwrap_or(0),
            outcome: row.outcome,
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            duration_ms: u32::try_from(row.duration_ms).unwrap_or(0),
            detail: row.detail,
            attempted_at: row.attempted_at,
        });
        Ok(attempts.collect())
    }

    async fn record(&self, tenant: TenantId, attempt: &Attempt) -> Result<(), StoreError> {
        record(&self.pool, tenant, attempt).await
    }

    async fn lanes(
        &self,
        tenant: TenantId,
        filter: &LaneFilter,
        after: Option<LaneKey>,
        limit: u32,
    ) -> Result<Vec<WaitingLane>, StoreError> {
        let (destination, case) = after.unwrap_or((Uuid::nil(), Uuid::nil()));
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
             lanes AS MATERIALIZED (
                 SELECT * FROM docket.delivery_lanes l
                 WHERE (SELECT ready FROM context) AND (l.destination_id, l.case_id) > ($2, $3)
                   AND ($4::boolean IS NULL OR (l.state = 'dead') = $4)
                   AND ($5::uuid IS NULL OR l.destination_id = $5) AND ($6::uuid IS NULL OR l.case_id = $6)
                 ORDER BY l.destination_id, l.case_id LIMIT $7
             )
             SELECT lanes.destination_id AS "destination_id!", coalesce(lanes.sink, 'webhook') AS "sink!",
                    lanes.case_id AS "case_id!", lanes.state AS "state!", lanes.pending AS "pending!",
                    lanes.attempts AS "attempts!", lanes.due_at AS "due_at!", nullif(lanes.last_error, '') AS last_error,
                    lanes.waiting_since AS "waiting_since!", head.sequence, e.id AS event_id, e.type AS event_type
             FROM lanes
             CROSS JOIN LATERAL (
                 SELECT d.sequence FROM docket.deliveries d
                 WHERE d.destination_id = lanes.destination_id AND d.case_id = lanes.case_id ORDER BY d.sequence LIMIT 1
             ) AS head
             JOIN docket.outbox_events e ON e.case_id = lanes.case_id AND e.sequence = head.sequence
             WHERE (SELECT ready FROM context)
             ORDER BY lanes.destination_id, lanes.case_id"#,
            tenant.to_string(),
            destination,
            case,
            filter.dead,
            filter.destination.map(|id| id.0),
            filter.case_id.map(|id| id.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let lanes = rows.into_iter().map(|row| WaitingLane {
            destination_id: DestinationId(row.destination_id),
            sink: row.sink,
            case_id: CaseId(row.case_id),
            state: row.state,
            pending: u32::try_from(row.pending).unwrap_or(0),
            attempts: u16::try_from(row.attempts).unwrap_or(0),
            due_at: row.due_at,
            last_error: row.last_error,
            waiting_since: row.waiting_since,
            event_id: EventId(row.event_id),
            event_type: format!("docket.{}", row.event_type),
            sequence: unsigned(row.sequence),
        });
        Ok(lanes.collect())
    }

    async fn count_range(
        &self,
        tenant: TenantId,
        id: EndpointId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT count(*) AS "count!" FROM docket.outbox_events e JOIN docket.webhook_endpoints w ON w.id = $2
             WHERE (SELECT ready FROM context) AND e.occurred_at >= $3 AND e.occurred_at < $4
               AND (w.event_types = '{}' OR e.type = ANY(w.event_types))"#,
            tenant.to_string(),
            id.0,
            from,
            until
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(unsigned(row.count))
    }
}
