//! The stored answer of a request whose effect is not one case: a row in the transaction of that effect.

use docket_domain::ids::TenantId;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::application::ports::case_store::AnswerToStore;

/// Stores the answer under its key, which lives for the time from `now` on that the answer says; breaks
/// `idempotency_keys_pkey` when another request with the key was faster.
pub(super) async fn remember(
    connection: &mut PgConnection,
    tenant: TenantId,
    answer: &AnswerToStore,
    now: OffsetDateTime,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO docket.idempotency_keys
             (tenant_id, principal_id, key, fingerprint, status, etag, location, body, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + ($10::timestamptz - $9))",
        tenant.0,
        answer.principal_id.0,
        answer.key.as_str(),
        &answer.fingerprint.0[..],
        i16::try_from(answer.rendered.status).unwrap_or(500),
        answer.rendered.etag,
        answer.rendered.location,
        answer.rendered.body,
        now,
        answer.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}
