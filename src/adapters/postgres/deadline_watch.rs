//! Finding owed notices over all tenants, by the functions of `migrations/0012_deadlines.sql`.

use async_trait::async_trait;
use docket_domain::ids::{CaseId, TenantId};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::unsigned;
use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::deadline_watch::{DeadlineWatch, DueNotice};

/// [`DeadlineWatch`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgDeadlineWatch {
    pool: PgPool,
}

impl PgDeadlineWatch {
    /// Over a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl DeadlineWatch for PgDeadlineWatch {
    #[tracing::instrument(name = "SELECT due_notices", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.stored_procedure.name = "due_notices"))]
    async fn due(
        &self,
        now: OffsetDateTime,
        after: Option<DueNotice>,
        limit: u32,
    ) -> Result<Vec<DueNotice>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT next_notice_at AS "at!", tenant_id AS "tenant_id!", case_id AS "case_id!"
             FROM docket.due_notices($1, coalesce($2, '-infinity'::timestamptz), $3, $4, $5)"#,
            now,
            after.map(|due| due.at),
            after.map_or(Uuid::nil(), |due| due.tenant_id.0),
            after.map_or(Uuid::nil(), |due| due.case_id.0),
            i32::try_from(limit).unwrap_or(i32::MAX)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let due = |at, tenant_id, case_id| DueNotice { at, tenant_id: TenantId(tenant_id), case_id: CaseId(case_id) };
        Ok(rows.into_iter().map(|row| due(row.at, row.tenant_id, row.case_id)).collect())
    }

    #[tracing::instrument(name = "SELECT overdue_cases", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.stored_procedure.name = "overdue_cases"))]
    async fn overdue(&self, now: OffsetDateTime, cap: u32) -> Result<u64, StoreError> {
        let cap = i32::try_from(cap).unwrap_or(i32::MAX);
        let late = sqlx::query_scalar!(r#"SELECT docket.overdue_cases($1, $2) AS "late!""#, now, cap);
        Ok(unsigned(late.fetch_one(&self.pool).await.map_err(store_error)?))
    }
}
