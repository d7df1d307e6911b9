//! The seeded fault of the relay: reading on by id, without waiting for older transactions. Only with the feature `faults`.

use docket_domain::ids::{CaseId, EventId, TenantId};
use sqlx::{PgPool, Row};
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::unsigned;
use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::event_feed::{FeedPosition, StoredEvent};
use crate::application::ports::relay_store::ReadEvent;

/// `id > last`: ids are made before the commit, so what commits later than its neighbours is never read.
pub(super) async fn read_by_id(
    pool: &PgPool,
    tenant: TenantId,
    after: FeedPosition,
    limit: u32,
) -> Result<Vec<ReadEvent>, StoreError> {
    let rows = sqlx::query(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, case_id, sequence, type, data, occurred_at, transaction_id::text::bigint AS transaction_id
         FROM docket.outbox_events WHERE (SELECT ready FROM context) AND id > $2 ORDER BY id LIMIT $3",
    )
    .bind(tenant.to_string())
    .bind(after.id)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let event = StoredEvent {
            id: EventId(row.get::<Uuid, _>("id")),
            tenant_id: tenant,
            case_id: CaseId(row.get::<Uuid, _>("case_id")),
            sequence: unsigned(row.get("sequence")),
            event_type: row.get::<String, _>("type").parse().map_err(unreadable)?,
            traceparent: None,
            data: row.get("data"),
            occurred_at: row.get::<OffsetDateTime, _>("occurred_at"),
            transaction_id: unsigned(row.get("transaction_id")),
        };
        events.push(ReadEvent { event, held: false });
    }
    Ok(events)
}
