//! The cursors of sinks: held under a lease of the database's clock, moved together with what could not be handed on.

use std::time::Duration;

use docket_domain::ids::{CaseId, DestinationId, EventId, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

use super::case_row::{signed, unsigned};
use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::event_feed::{FeedPosition, StoredEvent};
use crate::application::ports::event_sink::Start;
use crate::application::ports::relay_store::{Diverted, HeldCursor, ReadEvent};

/// Takes the cursor if its lease is over; makes it first if the sink is new to the tenant.
pub(super) async fn acquire(
    pool: &PgPool,
    tenant: TenantId,
    sink: &str,
    start: Start,
    lease: Duration,
) -> Result<Option<HeldCursor>, StoreError> {
    for _ in 0..2 {
        let held = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               UPDATE docket.relay_cursors
               SET lease_token = gen_random_uuid(), leased_until = now() + make_interval(secs => $3)
               WHERE (SELECT ready FROM context) AND reader = $2 AND leased_until < now()
               RETURNING lease_token AS "token!", transaction_id::text::bigint AS "transaction_id!", event_id"#,
            tenant.to_string(),
            sink,
            lease.as_secs_f64()
        )
        .fetch_optional(pool)
        .await
        .map_err(store_error)?;
        if let Some(row) = held {
            let position = FeedPosition { transaction_id: unsigned(row.transaction_id), id: row.event_id };
            return Ok(Some(HeldCursor { token: row.token, position }));
        }
        let made = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             INSERT INTO docket.relay_cursors (tenant_id, reader, transaction_id, event_id)
             SELECT $1::text::uuid, $2,
                    CASE WHEN $3 THEN '0'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END,
                    '00000000-0000-0000-0000-000000000000'
             FROM context WHERE ready
             ON CONFLICT DO NOTHING",
            tenant.to_string(),
            sink,
            start == Start::Beginning
        )
        .execute(pool)
        .await
        .map_err(store_error)?;
        if made.rows_affected() == 0 {
            return Ok(None);
        }
    }
    Ok(None)
}

/// Reads on.
pub(super) async fn read(
    pool: &PgPool,
    tenant: TenantId,
    sink: &str,
    after: FeedPosition,
    limit: u32,
) -> Result<Vec<ReadEvent>, StoreError> {
    #[cfg(feature = "faults")]
    if crate::faults::Fault::RelaySkipsTheHorizon.is_seeded() {
        return super::relay_fault::read_by_id(pool, tenant, after, limit).await;
    }
    let rows = sqlx::query_file!(
        "src/adapters/postgres/sql/relay_read.sql",
        tenant.to_string(),
        after.transaction_id.to_string(),
        after.id,
        i64::from(limit),
        DestinationId::of_sink(sink).0
    )
    .fetch_all(pool)
    .await
    .map_err(store_error)?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let event = StoredEvent {
            id: EventId(row.id),
            tenant_id: tenant,
            case_id: CaseId(row.case_id),
            sequence: unsigned(row.sequence),
            event_type: row.r#type.parse().map_err(unreadable)?,
            traceparent: row.traceparent,
            data: row.data,
            occurred_at: row.occurred_at,
            transaction_id: unsigned(row.transaction_id),
        };
        events.push(ReadEvent { event, held: row.held });
    }
    Ok(events)
}

/// Moves on, if the cursor is still ours.
pub(super) async fn advance(
    pool: &PgPool,
    tenant: TenantId,
    sink: &str,
    cursor: HeldCursor,
    diverted: &[Diverted],
    lease: Duration,
) -> Result<bool, StoreError> {
    let cases: Vec<Uuid> = diverted.iter().map(|one| one.case_id.0).collect();
    let sequences: Vec<i64> = diverted.iter().map(|one| signed(one.sequence)).collect();
    let events: Vec<Uuid> = diverted.iter().map(|one| one.event_id.0).collect();
    let attempts: Vec<i16> = diverted.iter().map(|one| i16::try_from(one.attempts).unwrap_or(i16::MAX)).collect();
    let errors: Vec<String> = diverted.iter().map(|one| one.error.clone().unwrap_or_default()).collect();
    let waits: Vec<f64> = diverted.iter().map(|one| one.after.as_secs_f64()).collect();
    let row = sqlx::query_file!(
        "src/adapters/postgres/sql/relay_advance.sql",
        tenant.to_string(),
        sink,
        cursor.token,
        cursor.position.transaction_id.to_string(),
        cursor.position.id,
        lease.as_secs_f64(),
        DestinationId::of_sink(sink).0,
        &cases[..],
        &sequences[..],
        &events[..],
        &attempts[..],
        &errors[..],
        &waits[..]
    )
    .fetch_one(pool)
    .await
    .map_err(store_error)?;
    Ok(row.held)
}

/// Hands the cursor back, if it is still ours.
pub(super) async fn release(pool: &PgPool, tenant: TenantId, sink: &str, token: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         UPDATE docket.relay_cursors SET lease_token = NULL, leased_until = '-infinity'
         WHERE (SELECT ready FROM context) AND reader = $2 AND lease_token = $3",
        tenant.to_string(),
        sink,
        token
    )
    .execute(pool)
    .await
    .map_err(store_error)?;
    Ok(())
}
