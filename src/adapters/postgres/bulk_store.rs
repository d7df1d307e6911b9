//! Cases in bulk in PostgreSQL: a batch is one transaction of a few statements over arrays, and several may be
//! written at once.

use async_trait::async_trait;
use docket_domain::case::{Case, State};
use docket_domain::ids::{CaseId, TenantId};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::bulk_columns::Columns;
use super::case_row::{case_row, signed, unsigned};
use super::error::{broken_constraint, store_error};
use super::transaction::{begin, begin_with};
use crate::application::ports::StoreError;
use crate::application::ports::bulk_store::{
    BatchCommit, BatchWrite, BulkStore, Progress, Run, RunKey, RunStep, StagedBatch,
};
use crate::application::ports::case_store::{CaseWrite, StoredCase};

/// [`BulkStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgBulkStore {
    pool: PgPool,
}

impl PgBulkStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl BulkStore for PgBulkStore {
    async fn tenant_named(&self, name: &str) -> Result<Option<TenantId>, StoreError> {
        // Asked as the platform, which sees every tenant's row.
        let id = sqlx::query_scalar!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.tenants WHERE (SELECT ready FROM context) AND name = $2",
            TenantId::PLATFORM.to_string(),
            name
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(id.map(TenantId).filter(|id| *id != TenantId::PLATFORM))
    }

    async fn open_run(
        &self,
        tenant: TenantId,
        key: &RunKey,
        fresh: Uuid,
        resume: bool,
        now: OffsetDateTime,
    ) -> Result<Run, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        let run = open_run(&mut transaction, tenant, key, fresh, resume, now).await.map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(run)
    }

    async fn by_reference(&self, tenant: TenantId, references: &[String]) -> Result<Vec<StoredCase>, StoreError> {
        // The planner takes the unique index once it knows that the tenant has cases; see `refresh_statistics`.
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT c.id, c.tenant_id, c.reference, c.version, c.state, c.severity, c.confidentiality, c.title,
                    c.narrative, c.respondent, c.case_type, c.reporter_id, c.assignee_id, c.proposed_by, c.decision,
                    c.open_information_requests, c.legal_hold, c.deadline_extended, c.due_at, c.clock_paused_at,
                    c.opened_at, c.created_at, c.updated_at, c.closed_at, c.attributes, c.audit_seq, c.audit_head,
                    c.deadline_seconds, c.warned_75_at, c.warned_90_at, c.breached_at, c.next_notice_at
             FROM docket.cases c
             WHERE (SELECT ready FROM context) AND c.tenant_id = $1::text::uuid AND c.reference = ANY($2)",
            tenant.to_string(),
            references
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(|row| StoredCase::try_from(case_row!(row))).collect()
    }

    async fn stage(&self, batch: &BatchWrite<'_>) -> Result<Option<Box<dyn StagedBatch>>, StoreError> {
        // Once for all statements of the transaction; an identifier holds nothing that a client wrote.
        // Nobody waits for one of many batches, and words are put in their places more cheaply by the thousand.
        let list = "SET LOCAL gin_pending_list_limit = '4MB'";
        let set = format!("BEGIN; {list}; SELECT set_config('docket.tenant', '{}', true)", batch.tenant_id);
        let mut transaction = begin_with(&self.pool, set).await.map_err(store_error)?;
        let written = match write(&mut transaction, batch).await {
            // Somebody created a case with one of the references, or appended to one of the chains.
            Err(error) if is_race(&error) => false,
            other => other.map_err(store_error)?,
        };
        if !written {
            transaction.rollback().await.map_err(store_error)?;
            return Ok(None);
        }
        Ok(Some(Box::new(PgStagedBatch(transaction))))
    }

    async fn refresh_statistics(&self) -> Result<(), StoreError> {
        sqlx::query!("SELECT docket.refresh_case_statistics()").execute(&self.pool).await.map_err(store_error)?;
        Ok(())
    }

    async fn page(
        &self,
        tenant: TenantId,
        states: &[State],
        after: Option<CaseId>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError> {
        let states: Vec<String> = states.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT c.id, c.tenant_id, c.reference, c.version, c.state, c.severity, c.confidentiality, c.title,
                    c.narrative, c.respondent, c.case_type, c.reporter_id, c.assignee_id, c.proposed_by, c.decision,
                    c.open_information_requests, c.legal_hold, c.deadline_extended, c.due_at, c.clock_paused_at,
                    c.opened_at, c.created_at, c.updated_at, c.closed_at, c.attributes, c.audit_seq, c.audit_head,
                    c.deadline_seconds, c.warned_75_at, c.warned_90_at, c.breached_at, c.next_notice_at
             FROM docket.cases c
             WHERE (SELECT ready FROM context) AND c.tenant_id = $1::text::uuid
               AND c.id > $2 AND (cardinality($3::text[]) = 0 OR c.state = ANY($3))
             ORDER BY c.id LIMIT $4",
            tenant.to_string(),
            after.map_or(Uuid::nil(), |id| id.0),
            &states,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(|row| StoredCase::try_from(case_row!(row)).map(|stored| stored.case)).collect()
    }
}

fn is_race(error: &sqlx::Error) -> bool {
    matches!(
        broken_constraint(error),
        Some("cases_tenant_id_reference_key" | "audit_events_pkey" | "outbox_events_pkey")
    )
}

async fn open_run(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &RunKey,
    fresh: Uuid,
    resume: bool,
    now: OffsetDateTime,
) -> Result<Run, sqlx::Error> {
    let row = sqlx::query!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         SELECT id, bytes_done, lines_done, errors_bytes, imported, updated, unchanged, skipped, rejected
         FROM docket.import_runs
         WHERE (SELECT ready FROM context) AND file_sha256 = $2 AND plan_sha256 = $3 AND finished_at IS NULL
         FOR UPDATE",
        tenant.to_string(),
        &key.file_sha256[..],
        &key.plan_sha256[..]
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row {
        if resume {
            let progress = Progress {
                bytes_done: unsigned(row.bytes_done),
                lines_done: unsigned(row.lines_done),
                errors_bytes: unsigned(row.errors_bytes),
                imported: unsigned(row.imported),
                updated: unsigned(row.updated),
                unchanged: unsigned(row.unchanged),
                skipped: unsigned(row.skipped),
                rejected: unsigned(row.rejected),
            };
            return Ok(Run { id: row.id, progress });
        }
        sqlx::query!("UPDATE docket.import_runs SET finished_at = $2, updated_at = $2 WHERE id = $1", row.id, now)
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query!(
        "INSERT INTO docket.import_runs (tenant_id, id, file_sha256, plan_sha256, file_name, started_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
        tenant.0,
        fresh,
        &key.file_sha256[..],
        &key.plan_sha256[..],
        key.file_name,
        now
    )
    .execute(connection)
    .await?;
    Ok(Run { id: fresh, progress: Progress::default() })
}

/// Writes cases, audit records and events; false if somebody changed one of the cases in the meantime.
async fn write(connection: &mut PgConnection, batch: &BatchWrite<'_>) -> Result<bool, sqlx::Error> {
    if let Some(first) = batch.inserts.first() {
        insert(connection, batch.inserts, first).await?;
    }
    if let Some(first) = batch.updates.first() {
        let moved = update(connection, batch.updates, first).await?;
        return Ok(unsigned(moved) == batch.updates.len() as u64);
    }
    Ok(true)
}

/// A transaction that holds a batch; dropped, it is rolled back.
struct PgStagedBatch(Transaction<'static, Postgres>);

#[async_trait]
impl StagedBatch for PgStagedBatch {
    async fn commit(self: Box<Self>, step: &RunStep) -> Result<BatchCommit, StoreError> {
        let mut transaction = self.0;
        // Last, so that the next batch can be written while this one waits for its turn.
        if !move_run(&mut transaction, step).await.map_err(store_error)? {
            transaction.rollback().await.map_err(store_error)?;
            return Ok(BatchCommit::RunTaken);
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(BatchCommit::Done)
    }
}

/// Moves the run to where the batch ends, unless it stands elsewhere.
async fn move_run(connection: &mut PgConnection, step: &RunStep) -> Result<bool, sqlx::Error> {
    let after = &step.after;
    let moved = sqlx::query!(
        "UPDATE docket.import_runs
         SET bytes_done = $3, lines_done = $4, errors_bytes = $5, imported = $6, updated = $7, unchanged = $8,
             skipped = $9, rejected = $10, updated_at = $11::timestamptz,
             finished_at = CASE WHEN $12 THEN $11::timestamptz END
         WHERE id = $1 AND bytes_done = $2 AND finished_at IS NULL",
        step.run_id,
        signed(step.before.bytes_done),
        signed(after.bytes_done),
        signed(after.lines_done),
        signed(after.errors_bytes),
        signed(after.imported),
        signed(after.updated),
        signed(after.unchanged),
        signed(after.skipped),
        signed(after.rejected),
        step.now,
        step.finished
    )
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

async fn insert(connection: &mut PgConnection, writes: &[CaseWrite], first: &CaseWrite) -> Result<(), sqlx::Error> {
    let columns = Columns::of(writes);
    sqlx::query_file!(
        "src/adapters/postgres/sql/import_insert.sql",
        first.case.tenant_id.0,
        &columns.ids,
        &columns.references as &[&str],
        &columns.states as &[&str],
        &columns.severities as &[&str],
        &columns.confidentialities as &[&str],
        &columns.titles as &[&str],
        &columns.narratives as &[&str],
        &columns.respondents as &[&str],
        &columns.case_types as &[&str],
        &columns.reporter_ids,
        &columns.assignee_ids as &[Option<Uuid>],
        &columns.proposed_by as &[Option<Uuid>],
        &columns.decisions as &[Option<&str>],
        &columns.open_information_requests,
        &columns.legal_holds,
        &columns.deadlines_extended,
        &columns.due_at as &[Option<OffsetDateTime>],
        &columns.clock_paused_at as &[Option<OffsetDateTime>],
        &columns.opened_at,
        &columns.updated_at,
        &columns.closed_at as &[Option<OffsetDateTime>],
        &columns.attributes,
        &columns.heads as &[&[u8]],
        &columns.records as &[&str],
        &columns.event_ids,
        &columns.event_data,
        first.audit.actor_id.0,
        first.audit.action,
        &first.decided_on.1.hash[..],
        event_type(first),
        traceparent(first),
        &columns.deadline_seconds as &[Option<i64>],
        &columns.next_notice_at as &[Option<OffsetDateTime>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(connection: &mut PgConnection, writes: &[CaseWrite], first: &CaseWrite) -> Result<i64, sqlx::Error> {
    let columns = Columns::of(writes);
    sqlx::query_file_scalar!(
        "src/adapters/postgres/sql/import_update.sql",
        first.case.tenant_id.0,
        &columns.ids,
        &columns.versions,
        &columns.states as &[&str],
        &columns.severities as &[&str],
        &columns.confidentialities as &[&str],
        &columns.titles as &[&str],
        &columns.narratives as &[&str],
        &columns.respondents as &[&str],
        &columns.case_types as &[&str],
        &columns.reporter_ids,
        &columns.assignee_ids as &[Option<Uuid>],
        &columns.proposed_by as &[Option<Uuid>],
        &columns.decisions as &[Option<&str>],
        &columns.open_information_requests,
        &columns.legal_holds,
        &columns.deadlines_extended,
        &columns.due_at as &[Option<OffsetDateTime>],
        &columns.clock_paused_at as &[Option<OffsetDateTime>],
        &columns.opened_at,
        &columns.updated_at,
        &columns.closed_at as &[Option<OffsetDateTime>],
        &columns.attributes,
        &columns.heads as &[&[u8]],
        &columns.records as &[&str],
        &columns.event_ids,
        &columns.event_data,
        &columns.sequences,
        &columns.previous as &[&[u8]],
        first.audit.actor_id.0,
        first.audit.action,
        event_type(first),
        traceparent(first),
        &columns.deadline_seconds as &[Option<i64>],
        &columns.warned_75_at as &[Option<OffsetDateTime>],
        &columns.warned_90_at as &[Option<OffsetDateTime>],
        &columns.breached_at as &[Option<OffsetDateTime>],
        &columns.next_notice_at as &[Option<OffsetDateTime>],
    )
    .fetch_one(connection)
    .await
}

fn event_type(write: &CaseWrite) -> &str {
    write.event.as_ref().map_or("", |event| event.event_type.as_str())
}

fn traceparent(write: &CaseWrite) -> Option<&str> {
    write.event.as_ref().and_then(|event| event.traceparent.as_deref())
}
