//! Jobs of one tenant in PostgreSQL: enqueue, look up, list, and what an administrative act does to them.

use async_trait::async_trait;
use docket_domain::ids::{JobId, PrincipalId, TenantId};
use docket_domain::job::{JobKind, JobLease, JobState, Priority};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::{store_error, unreadable};
use super::job_hint::JobHint;
use crate::application::ports::StoreError;
use crate::application::ports::job_store::{Job, JobFilter, JobStore, NewJob};
use crate::faults::Fault;

/// [`JobStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgJobStore {
    pool: PgPool,
    hint: JobHint,
}

impl PgJobStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { hint: JobHint::new(pool.clone()), pool }
    }
}

#[async_trait]
impl JobStore for PgJobStore {
    #[tracing::instrument(name = "INSERT jobs", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "INSERT", db.collection.name = "jobs"))]
    async fn enqueue(&self, tenant: TenantId, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(store_error)?;
        let new = insert(&mut connection, tenant, jobs).await.map_err(store_error)?;
        if !new.is_empty() {
            self.hint.send();
        }
        Ok(new)
    }

    async fn get(&self, tenant: TenantId, id: JobId) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query_file_as!(JobRow, "src/adapters/postgres/sql/get_job.sql", tenant.to_string(), id.0);
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(JobRow::read).transpose()
    }

    async fn holder(&self, tenant: TenantId, kind: &JobKind, unique_key: &str) -> Result<Option<Job>, StoreError> {
        let id = sqlx::query_scalar!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.jobs
             WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND kind = $2 AND unique_key = $3",
            tenant.to_string(),
            kind.as_str(),
            unique_key
        );
        match id.fetch_optional(&self.pool).await.map_err(store_error)? {
            Some(id) => self.get(tenant, JobId(id)).await,
            None => Ok(None),
        }
    }

    async fn list(
        &self,
        tenant: TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let states: Vec<String> = filter.states.iter().map(|state| state.as_str().to_owned()).collect();
        let rows = sqlx::query_file_as!(
            JobRow,
            "src/adapters/postgres/sql/list_jobs.sql",
            tenant.to_string(),
            before.map(|id| id.0),
            &states,
            filter.kind.as_ref().map(JobKind::as_str),
            i64::from(limit)
        );
        rows.fetch_all(&self.pool).await.map_err(store_error)?.into_iter().map(JobRow::read).collect()
    }

    async fn dead(&self, tenant: TenantId, kind: &JobKind, cap: u32) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT count(*) AS "count!" FROM (
                   SELECT FROM docket.finished_jobs
                   WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND kind = $2 AND state = 'dead'
                   LIMIT $3) f"#,
            tenant.to_string(),
            kind.as_str(),
            i64::from(cap)
        );
        let count = count.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}

/// Inserts jobs of one tenant, in whatever transaction the connection is in; which of them are new.
pub(super) async fn insert(
    connection: &mut PgConnection,
    tenant: TenantId,
    jobs: &[NewJob],
) -> Result<Vec<JobId>, sqlx::Error> {
    let mut columns = Columns::default();
    for job in jobs {
        columns.push(job);
    }
    let ids = sqlx::query_file_scalar!(
        "src/adapters/postgres/sql/insert_jobs.sql",
        tenant.to_string(),
        &columns.ids,
        &columns.kinds,
        &columns.payloads,
        &columns.priorities,
        &columns.run_ats as &[Option<OffsetDateTime>],
        &columns.unique_keys as &[Option<String>],
        &columns.requested_by,
        &columns.traceparents as &[Option<String>]
    );
    Ok(ids.fetch_all(connection).await?.into_iter().map(JobId).collect())
}

/// Ends a job in the transaction of its effect, without a trace; false when the caller lost it. The tenant is set.
pub(super) async fn complete(connection: &mut PgConnection, job: JobLease) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query!(
        "DELETE FROM docket.jobs WHERE tenant_id = $1 AND id = $2 AND lease_token = $3 AND worker_id IS NOT NULL",
        job.tenant_id.0,
        job.job_id.0,
        job.token
    );
    Ok(ended.execute(connection).await?.rows_affected() == 1 || Fault::NoFencing.is_seeded())
}

/// Ends a waiting job, or asks the worker of a running one to end it; false when it is neither any more. The tenant is set.
pub(super) async fn cancel(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: JobId,
    running: bool,
) -> Result<bool, sqlx::Error> {
    let done = if running {
        let asked = sqlx::query!(
            "UPDATE docket.jobs SET cancel_requested = true WHERE tenant_id = $1 AND id = $2 AND worker_id IS NOT NULL",
            tenant.0,
            id.0
        );
        asked.execute(connection).await?
    } else {
        let ended = sqlx::query_file!("src/adapters/postgres/sql/cancel_job.sql", tenant.0, id.0);
        ended.execute(connection).await?
    };
    Ok(done.rows_affected() == 1)
}

/// Puts dead letters back into the queue: one, or up to `limit` of a kind; how many. The tenant is set.
pub(super) async fn redrive(
    connection: &mut PgConnection,
    tenant: TenantId,
    id: Option<JobId>,
    kind: Option<&JobKind>,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let moved = sqlx::query_file!(
        "src/adapters/postgres/sql/redrive_jobs.sql",
        tenant.0,
        id.map(|id| id.0),
        kind.map(JobKind::as_str),
        i64::from(limit)
    );
    Ok(moved.execute(connection).await?.rows_affected())
}

#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    kinds: Vec<String>,
    payloads: Vec<String>,
    priorities: Vec<i16>,
    run_ats: Vec<Option<OffsetDateTime>>,
    unique_keys: Vec<Option<String>>,
    requested_by: Vec<Uuid>,
    traceparents: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, job: &NewJob) {
        self.ids.push(job.id.0);
        self.kinds.push(job.kind.as_str().to_owned());
        self.payloads.push(job.payload.to_string());
        self.priorities.push(job.priority.rank());
        self.run_ats.push(job.run_at);
        self.unique_keys.push(job.unique_key.clone());
        self.requested_by.push(job.requested_by.0);
        self.traceparents.push(job.traceparent.clone());
    }
}

struct JobRow {
    tenant_id: Uuid,
    id: Uuid,
    kind: String,
    state: String,
    payload: String,
    priority: i16,
    attempt: i16,
    run_at: Option<OffsetDateTime>,
    unique_key: Option<String>,
    progress: Option<i16>,
    cancel_requested: bool,
    result: Option<String>,
    error: Option<String>,
    requested_by: Uuid,
    created_at: OffsetDateTime,
    claimed_at: Option<OffsetDateTime>,
    finished_at: Option<OffsetDateTime>,
}

impl JobRow {
    fn read(self) -> Result<Job, StoreError> {
        let state: JobState = self.state.parse().map_err(unreadable)?;
        let priority = Priority::from_rank(self.priority).unwrap_or(Priority::Normal);
        Ok(Job {
            id: JobId(self.id),
            tenant_id: TenantId(self.tenant_id),
            kind: self.kind.parse().map_err(unreadable)?,
            state,
            priority,
            payload: serde_json::from_str(&self.payload).map_err(unreadable)?,
            attempt: u32::try_from(self.attempt).unwrap_or_default(),
            run_at: self.run_at,
            unique_key: self.unique_key,
            progress: self.progress.and_then(|percent| u8::try_from(percent).ok()),
            cancel_requested: self.cancel_requested,
            result: self.result.map(|text| serde_json::from_str::<Value>(&text)).transpose().map_err(unreadable)?,
            error: self.error,
            requested_by: PrincipalId(self.requested_by),
            created_at: self.created_at,
            started_at: self.claimed_at,
            finished_at: self.finished_at,
        })
    }
}
