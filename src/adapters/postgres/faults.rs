//! The seeded faults that live in SQL: writes torn apart, delayed or unguarded. Only with the feature `faults`.

use std::time::Duration;

use docket_domain::audit::ChainHead;
use sqlx::PgPool;

use super::case_store::{PgCaseStore, conflict};
use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{CaseWrite, Commit, RowChange};
use crate::faults::Fault;

/// The moment between two statements that ought to be one, long enough for a kill to hit it.
const GAP: Duration = Duration::from_millis(25);

/// Commits a write with the seeded fault, if it is one of these.
pub(super) async fn commit(
    store: &PgCaseStore,
    pool: &PgPool,
    write: &CaseWrite,
) -> Option<Result<Commit, StoreError>> {
    let result = if Fault::AcknowledgeBeforeCommit.is_seeded() {
        acknowledge_first(store, write);
        Ok(Commit::Done)
    } else if Fault::AnswerAfterCommit.is_seeded() {
        answer_later(store, pool, write).await
    } else if Fault::OutboxAfterCommit.is_seeded() && write.change != RowChange::Insert {
        event_later(store, pool, write).await
    } else if Fault::NoVersionGuard.is_seeded() && write.change != RowChange::Insert {
        unguarded(store, pool, write).await
    } else {
        return None;
    };
    Some(result.or_else(|error| conflict(&error).ok_or_else(|| store_error(error))))
}

fn acknowledge_first(store: &PgCaseStore, write: &CaseWrite) {
    let (store, write) = (store.clone(), write.clone());
    tokio::spawn(async move {
        tokio::time::sleep(GAP).await;
        let _ = store.commit_as_promised(&write).await;
    });
}

async fn answer_later(store: &PgCaseStore, pool: &PgPool, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
    let outcome = store.commit_as_promised(&CaseWrite { answer: None, ..write.clone() }).await?;
    if let (Commit::Done, Some(answer)) = (outcome, &write.answer) {
        tokio::time::sleep(GAP).await;
        let rendered = &answer.rendered;
        sqlx::query(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1::text, true) IS NOT NULL AS ready)
             INSERT INTO docket.idempotency_keys
                 (tenant_id, principal_id, key, fingerprint, status, etag, location, body, created_at, expires_at)
             SELECT $1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, now() + ($10::timestamptz - $9::timestamptz) WHERE (SELECT ready FROM context)
             ON CONFLICT DO NOTHING",
        )
        .bind(write.case.tenant_id.to_string())
        .bind(answer.principal_id.0)
        .bind(answer.key.as_str())
        .bind(&answer.fingerprint.0[..])
        .bind(i16::try_from(rendered.status).unwrap_or(500))
        .bind(rendered.etag.as_deref())
        .bind(rendered.location.as_deref())
        .bind(rendered.body.as_str())
        .bind(write.audit.occurred_at)
        .bind(answer.expires_at)
        .execute(pool)
        .await?;
    }
    Ok(outcome)
}

async fn event_later(store: &PgCaseStore, pool: &PgPool, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
    let outcome = store.commit_as_promised(&CaseWrite { event: None, ..write.clone() }).await?;
    if let (Commit::Done, Some(event)) = (outcome, &write.event) {
        tokio::time::sleep(GAP).await;
        sqlx::query(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1::text, true) IS NOT NULL AS ready)
             INSERT INTO docket.outbox_events
                 (tenant_id, id, case_id, sequence, type, actor_id, traceparent, data, occurred_at)
             SELECT $1::uuid, $2, $3, $4, $5, $6, $7, $8::jsonb, $9 WHERE (SELECT ready FROM context)",
        )
        .bind(write.case.tenant_id.to_string())
        .bind(event.id.0)
        .bind(write.case.id.0)
        .bind(i64::try_from(write.case.version).unwrap_or(i64::MAX))
        .bind(event.event_type.as_str())
        .bind(write.audit.actor_id.0)
        .bind(event.traceparent.as_deref())
        .bind(event.data.to_string())
        .bind(write.audit.occurred_at)
        .execute(pool)
        .await?;
    }
    Ok(outcome)
}

/// Writes over whatever version stands there: the guard of the statement is told what it wants to hear.
async fn unguarded(store: &PgCaseStore, pool: &PgPool, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
    tokio::time::sleep(GAP).await;
    let current: Option<(i64, i64, Vec<u8>)> = sqlx::query_as(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT version, audit_seq, audit_head FROM docket.cases WHERE (SELECT ready FROM context) AND id = $2",
    )
    .bind(write.case.tenant_id.to_string())
    .bind(write.case.id.0)
    .fetch_optional(pool)
    .await?;
    let Some((version, seq, hash)) = current else { return Ok(Commit::Stale) };
    let version = u64::try_from(version).unwrap_or_default();
    let head = ChainHead { seq: u64::try_from(seq).unwrap_or_default(), hash: hash.try_into().unwrap_or_default() };
    let mut write = write.clone();
    if write.case.version <= version {
        write.event = None;
    }
    write.decided_on = (version, head);
    write.head.seq = head.seq + 1;
    store.commit_as_promised(&write).await
}
