//! What an administrator changes about deliveries, as steps of the transaction that also records the act.

use docket_domain::ids::{CaseId, DestinationId, EndpointId, TenantId};
use docket_domain::webhook::Endpoint;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::signed;
use crate::application::ports::tenancy_store::DeliveryEffect;

/// Carries out one step; the tenant is set already.
pub(super) async fn apply(
    connection: &mut PgConnection,
    tenant: TenantId,
    effect: &DeliveryEffect,
) -> Result<(), sqlx::Error> {
    match effect {
        DeliveryEffect::CreateEndpoint { endpoint, secret_id, sealed } => {
            create(connection, tenant, endpoint, *secret_id, sealed).await
        }
        DeliveryEffect::UpdateEndpoint(endpoint) => {
            let types: Vec<String> = endpoint.event_types.iter().map(ToString::to_string).collect();
            sqlx::query!(
                "UPDATE docket.webhook_endpoints
                 SET name = $2, url = $3, event_types = $4, enabled = $5, disabled_reason = $6, updated_at = $7
                 WHERE id = $1",
                endpoint.id.0,
                endpoint.name,
                endpoint.url,
                &types,
                endpoint.enabled,
                endpoint.disabled_reason,
                endpoint.updated_at
            )
            .execute(connection)
            .await
            .map(drop)
        }
        DeliveryEffect::DeleteEndpoint(id) => delete(connection, *id).await,
        DeliveryEffect::RotateSecret { endpoint, secret_id, sealed, now, previous_until } => {
            rotate(connection, tenant, *endpoint, (*secret_id, sealed), (*now, *previous_until)).await
        }
        DeliveryEffect::Replay { endpoint, from, until } => sqlx::query!(
            "WITH endpoint AS MATERIALIZED (
                 -- Who deletes it meanwhile waits, and takes what is written here along.
                 SELECT id, event_types FROM docket.webhook_endpoints WHERE id = $1 FOR KEY SHARE
             ),
             queued AS (
                 INSERT INTO docket.deliveries (tenant_id, destination_id, case_id, sequence, event_id)
                 SELECT e.tenant_id, w.id, e.case_id, e.sequence, e.id
                 FROM docket.outbox_events e CROSS JOIN endpoint w
                 WHERE e.occurred_at >= $2 AND e.occurred_at < $3
                   AND (w.event_types = '{}' OR e.type = ANY(w.event_types))
                 ON CONFLICT DO NOTHING RETURNING tenant_id, destination_id, case_id
             )
             INSERT INTO docket.delivery_lanes (tenant_id, destination_id, case_id, pending)
             SELECT tenant_id, destination_id, case_id, count(*) FROM queued GROUP BY 1, 2, 3 ORDER BY 2, 3
             ON CONFLICT (tenant_id, destination_id, case_id)
                 DO UPDATE SET pending = docket.delivery_lanes.pending + excluded.pending",
            endpoint.0,
            from,
            until
        )
        .execute(connection)
        .await
        .map(drop),
        DeliveryEffect::Redrive(filter) => sqlx::query!(
            "UPDATE docket.delivery_lanes SET state = 'ready', attempts = 0, due_at = now(), lease_token = NULL,
                 failed_at = NULL
             WHERE state = 'dead' AND ($1::uuid IS NULL OR destination_id = $1) AND ($2::uuid IS NULL OR case_id = $2)",
            filter.destination.map(|id| id.0),
            filter.case_id.map(|id| id.0)
        )
        .execute(connection)
        .await
        .map(drop),
        DeliveryEffect::SkipHead { destination, case_id, sequence } => {
            skip(connection, *destination, *case_id, *sequence).await
        }
    }
}

/// An endpoint with its first secret.
async fn create(
    connection: &mut PgConnection,
    tenant: TenantId,
    endpoint: &Endpoint,
    secret_id: Uuid,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    let types: Vec<String> = endpoint.event_types.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "INSERT INTO docket.webhook_endpoints (tenant_id, id, name, url, event_types, enabled, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        tenant.0,
        endpoint.id.0,
        endpoint.name,
        endpoint.url,
        &types,
        endpoint.enabled,
        endpoint.created_at
    )
    .execute(&mut *connection)
    .await?;
    // The tenant's first endpoint begins the reading; what was committed before is nobody's.
    sqlx::query!(
        "INSERT INTO docket.relay_cursors (tenant_id, reader, transaction_id, event_id)
         VALUES ($1, 'webhooks', pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000')
         ON CONFLICT DO NOTHING",
        tenant.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO docket.webhook_secrets (tenant_id, endpoint_id, id, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        tenant.0,
        endpoint.id.0,
        secret_id,
        sealed,
        endpoint.created_at
    )
    .execute(connection)
    .await
    .map(drop)
}

/// An endpoint and all that waits for it.
async fn delete(connection: &mut PgConnection, id: EndpointId) -> Result<(), sqlx::Error> {
    // The endpoint before its lanes, as everywhere: who writes deliveries for it is waited for, and nobody begins to.
    sqlx::query!("SELECT id FROM docket.webhook_endpoints WHERE id = $1 FOR UPDATE", id.0)
        .fetch_optional(&mut *connection)
        .await?;
    // Lanes next: whoever holds one is fenced before its deliveries go.
    sqlx::query!("DELETE FROM docket.delivery_lanes WHERE destination_id = $1", id.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM docket.deliveries WHERE destination_id = $1", id.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM docket.webhook_endpoints WHERE id = $1", id.0).execute(connection).await.map(drop)
}

/// A new secret; of the older ones only the latest lives on.
async fn rotate(
    connection: &mut PgConnection,
    tenant: TenantId,
    endpoint: EndpointId,
    secret: (Uuid, &[u8]),
    times: (OffsetDateTime, OffsetDateTime),
) -> Result<(), sqlx::Error> {
    let ((secret_id, sealed), (now, previous_until)) = (secret, times);
    // At most two are live: the new one, and the one before until its overlap ends.
    sqlx::query!(
        "UPDATE docket.webhook_secrets s
         SET expires_at = CASE WHEN s.id = latest.id THEN $2 ELSE least(s.expires_at, $3) END
         FROM (SELECT id FROM docket.webhook_secrets WHERE endpoint_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1)
             AS latest
         WHERE s.endpoint_id = $1",
        endpoint.0,
        previous_until,
        now
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO docket.webhook_secrets (tenant_id, endpoint_id, id, sealed, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        tenant.0,
        endpoint.0,
        secret_id,
        sealed,
        now
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Takes the head out of a lane, if it is still there.
async fn skip(
    connection: &mut PgConnection,
    destination: DestinationId,
    case_id: CaseId,
    sequence: u64,
) -> Result<(), sqlx::Error> {
    // Whoever is sending the head at this moment is fenced; locking the lane first keeps its count right.
    sqlx::query!(
        "SELECT pending FROM docket.delivery_lanes WHERE destination_id = $1 AND case_id = $2 FOR UPDATE",
        destination.0,
        case_id.0
    )
    .fetch_optional(&mut *connection)
    .await?;
    let removed = sqlx::query!(
        "DELETE FROM docket.deliveries WHERE destination_id = $1 AND case_id = $2 AND sequence = $3",
        destination.0,
        case_id.0,
        signed(sequence)
    )
    .execute(&mut *connection)
    .await?;
    if removed.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM docket.delivery_lanes WHERE destination_id = $1 AND case_id = $2 AND pending = 1",
        destination.0,
        case_id.0
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE docket.delivery_lanes
         SET pending = pending - 1, state = 'ready', attempts = 0, due_at = now(), lease_token = NULL,
             last_error = NULL, failed_at = NULL, waiting_since = now()
         WHERE destination_id = $1 AND case_id = $2",
        destination.0,
        case_id.0
    )
    .execute(connection)
    .await
    .map(drop)
}
