//! Cases in PostgreSQL, the writing side: one round trip to load, one to commit.

use async_trait::async_trait;
use docket_domain::case::LinkKind;
use docket_domain::idempotency::Fingerprint;
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use sqlx::{PgConnection, PgPool};

use super::case_change::{Act, CaseChanges, database_status, lock_key, outcome};
use super::case_loader::CaseLoader;
use super::case_row::{hash32, signed};
use super::error::{broken_constraint, store_error};
use super::job_hint::JobHint;
use super::lane::Lane;
use super::transaction::begin;
use super::{job_store, register_entries};
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{
    Attachment, CaseStore, CaseWrite, Commit, KeyScope, Loaded, RowChange, StoredAnswer,
};
use crate::application::request::Rendered;

/// [`CaseStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCaseStore {
    pool: PgPool,
    hint: JobHint,
    lane: Lane,
    loader: CaseLoader,
    changes: CaseChanges,
}

impl PgCaseStore {
    /// A store on a lane for what every request does, and a pool of [`super::connect`] for the rest.
    pub fn new(pool: PgPool, lane: Lane) -> Self {
        let (loader, changes) = (CaseLoader::new(lane.clone()), CaseChanges::new(lane.clone()));
        Self { hint: JobHint::new(pool.clone()), loader, changes, pool, lane }
    }
}

#[async_trait]
impl CaseStore for PgCaseStore {
    #[tracing::instrument(name = "SELECT cases", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "cases"))]
    async fn load(&self, tenant: TenantId, case: CaseId, key: Option<KeyScope<'_>>) -> Result<Loaded, StoreError> {
        self.loader.load(tenant, case, key).await
    }

    #[tracing::instrument(name = "SELECT idempotency_keys", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "idempotency_keys"))]
    async fn load_answer(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError> {
        let mut leased = self.lane.acquire().await.map_err(store_error)?;
        let found = sqlx::query_file!(
            "src/adapters/postgres/sql/load_answer.sql",
            tenant.to_string(),
            key.principal_id.0,
            key.key.as_str()
        )
        .fetch_optional(leased.connection())
        .await;
        self.lane.settle(leased, &found);
        found
            .map_err(store_error)?
            .map(|row| {
                Ok(StoredAnswer {
                    fingerprint: Fingerprint(hash32(row.fingerprint)?),
                    rendered: Rendered {
                        status: http_status(row.status),
                        etag: row.etag,
                        location: row.location,
                        body: row.body,
                    },
                    expired: row.expired,
                })
            })
            .transpose()
    }

    #[tracing::instrument(name = "SELECT principals", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "principals"))]
    async fn is_assignable(&self, tenant: TenantId, principal: PrincipalId) -> Result<bool, StoreError> {
        super::assignees::is_assignable(&self.pool, tenant, principal).await
    }

    #[tracing::instrument(name = "SELECT case_links", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "case_links"))]
    async fn is_linked(
        &self,
        tenant: TenantId,
        case: CaseId,
        target: CaseId,
        kind: LinkKind,
    ) -> Result<bool, StoreError> {
        let row = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.case_links
             WHERE (SELECT ready FROM context) AND case_id = $2 AND target_case_id = $3 AND kind = $4",
            tenant.to_string(),
            case.0,
            target.0,
            kind.as_str()
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.is_some())
    }

    #[tracing::instrument(name = "DELETE idempotency_keys", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "DELETE", db.collection.name = "idempotency_keys"))]
    async fn forget_expired(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             DELETE FROM docket.idempotency_keys
             WHERE (SELECT ready FROM context) AND principal_id = $2 AND key = $3 AND expires_at <= now()",
            tenant.to_string(),
            key.principal_id.0,
            key.key.as_str()
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    #[tracing::instrument(name = "INSERT or UPDATE cases", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.query.summary = "INSERT or UPDATE cases", db.collection.name = "cases"))]
    async fn commit(&self, write: &CaseWrite) -> Result<Commit, StoreError> {
        #[cfg(feature = "faults")]
        if let Some(faulty) = super::faults::commit(self, &self.pool, write).await {
            return faulty;
        }
        let outcome = self.commit_as_promised(write).await;
        outcome.or_else(|error| conflict(&error).map(|found| for_fresh(write, found)).ok_or_else(|| store_error(error)))
    }
}

impl PgCaseStore {
    /// All of the write in one transaction, whose constraints are the second line of defence.
    pub(super) async fn commit_as_promised(&self, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
        let jobs = write.completes.is_some() || !write.enqueues.is_empty();
        let more =
            jobs || !write.attachments.is_empty() || matches!(write.change, RowChange::Fields | RowChange::Delete);
        if more && (jobs || write.change != RowChange::Insert) {
            return self.change_with_more(write).await;
        }
        if write.change != RowChange::Insert {
            return self.changes.commit(Act::of(write)).await;
        }
        let mut leased = self.lane.acquire().await?;
        let outcome = insert(leased.connection(), write).await;
        self.lane.settle(leased, &outcome);
        outcome
    }

    /// A change that needs further statements: they join the first in one explicit transaction.
    async fn change_with_more(&self, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
        let mut transaction = begin(&self.pool).await?;
        let outcome = put(&mut transaction, write).await?;
        if outcome != Commit::Done {
            transaction.rollback().await?;
            return Ok(outcome);
        }
        if let Some(job) = write.completes
            && !job_store::complete(&mut transaction, job).await?
        {
            transaction.rollback().await?;
            return Ok(Commit::LeaseLost);
        }
        if !write.enqueues.is_empty() {
            job_store::insert(&mut transaction, write.case.tenant_id, &write.enqueues).await?;
        }
        for attachment in &write.attachments {
            attach(&mut transaction, write, attachment).await?;
        }
        match write.change {
            RowChange::Fields => update_fields(&mut transaction, write).await?,
            RowChange::Delete => {
                sqlx::query!("DELETE FROM docket.cases WHERE id = $1", write.case.id.0)
                    .execute(&mut *transaction)
                    .await?;
            }
            _ => {}
        }
        transaction.commit().await?;
        if !write.enqueues.is_empty() {
            self.hint.send();
        }
        Ok(Commit::Done)
    }
}

async fn put(connection: &mut PgConnection, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
    match write.change {
        RowChange::Insert => insert(connection, write).await,
        _ => Act::of(write).commit(connection).await,
    }
}

async fn insert(connection: &mut PgConnection, write: &CaseWrite) -> Result<Commit, sqlx::Error> {
    let case = &write.case;
    let event = write.event.as_ref();
    let answer = write.answer.as_ref();
    let row = sqlx::query_file!(
        "src/adapters/postgres/sql/commit_insert.sql",
        case.tenant_id.to_string(),
        lock_key(write),
        case.id.0,
        case.reference,
        signed(case.version),
        case.state.as_str(),
        case.severity.as_str(),
        case.confidentiality.as_str(),
        case.title,
        case.narrative,
        case.respondent,
        case.case_type,
        case.reporter_id.0,
        case.created_at,
        serde_json::to_string(&case.attributes).unwrap_or_else(|_| "{}".to_owned()),
        signed(write.head.seq),
        &write.head.hash[..],
        write.audit.actor_id.0,
        write.audit.action,
        write.canonical,
        &write.decided_on.1.hash[..],
        event.map(|event| event.id.0),
        event.map(|event| event.event_type.as_str()),
        event.and_then(|event| event.traceparent.as_deref()),
        event.map(|event| event.data.to_string()),
        answer.map(|answer| answer.key.as_str()),
        answer.map(|answer| &answer.fingerprint.0[..]),
        answer.map(|answer| database_status(answer.rendered.status)),
        answer.and_then(|answer| answer.rendered.etag.as_deref()),
        answer.and_then(|answer| answer.rendered.location.as_deref()),
        answer.map(|answer| answer.rendered.body.as_str()),
        answer.map(|answer| answer.expires_at),
    )
    .fetch_one(connection)
    .await?;
    Ok(outcome(row.free, row.created > 0))
}

async fn update_fields(connection: &mut PgConnection, write: &CaseWrite) -> Result<(), sqlx::Error> {
    let case = &write.case;
    sqlx::query!(
        "UPDATE docket.cases
         SET title = $2, narrative = $3, respondent = $4, case_type = $5, severity = $6, confidentiality = $7,
             legal_hold = $8, attributes = $9::text::jsonb
         WHERE id = $1",
        case.id.0,
        case.title,
        case.narrative,
        case.respondent,
        case.case_type,
        case.severity.as_str(),
        case.confidentiality.as_str(),
        case.legal_hold,
        serde_json::to_string(&case.attributes).unwrap_or_else(|_| "{}".to_owned()),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn attach(connection: &mut PgConnection, write: &CaseWrite, row: &Attachment) -> Result<(), sqlx::Error> {
    let (tenant, case) = (write.case.tenant_id.0, write.case.id.0);
    let (actor, now) = (write.audit.actor_id.0, write.audit.occurred_at);
    match row {
        Attachment::Note { id, kind, body } => {
            sqlx::query!(
                "INSERT INTO docket.case_notes (tenant_id, id, case_id, kind, author_id, body, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                tenant,
                id.0,
                case,
                kind.as_str(),
                actor,
                body,
                now
            )
            .execute(connection)
            .await?;
        }
        Attachment::Evidence { id, sha256, size_bytes, media_type, file_name, description, fresh } => {
            sqlx::query!(
                "WITH blob AS (
                     INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
                     SELECT $1, $4, $5, $6, $10 WHERE $11 ON CONFLICT DO NOTHING)
                 INSERT INTO docket.case_evidence
                     (tenant_id, id, case_id, sha256, file_name, description, added_by, created_at)
                 VALUES ($1, $2, $3, $4, $7, $8, $9, $10)",
                tenant,
                id.0,
                case,
                &sha256[..],
                signed(*size_bytes),
                media_type,
                file_name,
                description,
                actor,
                now,
                fresh
            )
            .execute(connection)
            .await?;
        }
        Attachment::Link { id, target, kind, reason } => {
            sqlx::query!(
                "INSERT INTO docket.case_links
                     (tenant_id, id, case_id, target_case_id, kind, reason, created_by, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                tenant,
                id.0,
                case,
                target.0,
                kind.as_str(),
                reason,
                actor,
                now
            )
            .execute(connection)
            .await?;
        }
        Attachment::RegisterEntry { id, event_id, entry } => {
            register_entries::insert(connection, write, *id, *event_id, entry).await?;
        }
    }
    Ok(())
}

/// Constraints that stand for an outcome rather than a fault.
pub(super) fn conflict(error: &sqlx::Error) -> Option<Commit> {
    match broken_constraint(error)? {
        "idempotency_keys_pkey" => Some(Commit::KeyTaken),
        "cases_tenant_id_reference_key" => Some(Commit::ReferenceTaken),
        "case_links_tenant_id_target_case_id_fkey" => Some(Commit::NoSuchTarget),
        "case_evidence_tenant_id_sha256_fkey" => Some(Commit::NoSuchContent),
        "case_links_once" => Some(Commit::LinkExists),
        "register_entries_once" => Some(Commit::EntryExists),
        // Two writers decided on the same chain head and the other was faster.
        "audit_events_pkey" => Some(Commit::Stale),
        _ => None,
    }
}

/// Content whose row went while it was being attached: bytes that came with this request are worth another try.
fn for_fresh(write: &CaseWrite, found: Commit) -> Commit {
    let is_fresh = |row: &Attachment| matches!(row, Attachment::Evidence { fresh: true, .. });
    if found == Commit::NoSuchContent && write.attachments.iter().any(is_fresh) { Commit::Stale } else { found }
}

fn http_status(status: i16) -> u16 {
    u16::try_from(status).unwrap_or(500)
}
