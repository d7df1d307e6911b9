//! Cases in PostgreSQL, the reading side: single, listed, searched, and what hangs on them.

use async_trait::async_trait;
use docket_domain::case::Case;
use docket_domain::ids::{CaseId, EvidenceId, LinkId, NoteId, PrincipalId, TenantId};
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

use super::case_list_query::{self, Page, Reach};
use super::case_loader::CaseLoader;
use super::case_row::{CaseRow, hash32, unsigned};
use super::case_search;
use super::error::{store_error, unreadable};
use super::lane::Lane;
use super::transaction::begin_with;
use crate::application::ports::StoreError;
use crate::application::ports::case_reader::{
    CaseFilter, CaseReader, CaseSort, EvidenceItem, LinkItem, Note, Position, Viewer,
};
use crate::application::ports::case_store::{NoteKind, StoredCase};
use crate::faults::Fault;

/// [`CaseReader`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCaseReader {
    pool: PgPool,
    loader: CaseLoader,
}

impl PgCaseReader {
    /// A reader on a pool of [`super::connect`], with the lane for single cases.
    pub fn new(pool: PgPool, lane: Lane) -> Self {
        Self { pool, loader: CaseLoader::new(lane) }
    }
}

#[async_trait]
impl CaseReader for PgCaseReader {
    #[tracing::instrument(name = "SELECT cases", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "cases"))]
    async fn get(&self, tenant: TenantId, case: CaseId) -> Result<Option<StoredCase>, StoreError> {
        Ok(self.loader.load(tenant, case, None).await?.case)
    }

    #[tracing::instrument(name = "SELECT cases list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "cases"))]
    async fn list(
        &self,
        viewer: Viewer,
        filter: &CaseFilter,
        sort: CaseSort,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError> {
        let mut page = Page { sort, after, limit, reach: Reach::Near(case_search::FIRST) };
        let kept = case_list_query::keeps_plan(filter, page);
        let mut transaction = begin_reading(&self.pool, viewer.tenant_id, kept).await?;
        let mut rows = fetch_page(&mut transaction, viewer, filter, page).await?;
        if filter.text.is_some() && !is_settled(&mut transaction, viewer, filter, page, &rows).await? {
            page.reach = case_search::reach(&mut transaction, viewer, filter, limit).await.map_err(store_error)?;
            let mut settled = false;
            if page.reach != Reach::Whole {
                rows = fetch_page(&mut transaction, viewer, filter, page).await?;
                settled = is_settled(&mut transaction, viewer, filter, page, &rows).await?;
            }
            if !settled {
                page.reach = Reach::Whole;
                sqlx::raw_sql(WHOLE).execute(&mut *transaction).await.map_err(store_error)?;
                rows = fetch_page(&mut transaction, viewer, filter, page).await?;
            }
        }
        transaction.commit().await.map_err(store_error)?;
        rows.into_iter().map(|row| StoredCase::try_from(row).map(|stored| stored.case)).collect()
    }

    #[tracing::instrument(name = "SELECT cases count", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "cases"))]
    async fn count(&self, viewer: Viewer, filter: &CaseFilter, sort: CaseSort) -> Result<u64, StoreError> {
        let mut transaction = begin_reading(&self.pool, viewer.tenant_id, false).await?;
        let count: i64 = case_list_query::count(viewer, filter, sort)
            .build_query_scalar()
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await
            .map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(unsigned(count))
    }

    #[tracing::instrument(name = "SELECT case_notes", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "case_notes"))]
    async fn notes(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<NoteId>,
        limit: u32,
    ) -> Result<Vec<Note>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, kind, author_id, body, created_at FROM docket.case_notes
             WHERE (SELECT ready FROM context) AND case_id = $2 AND ($3::uuid IS NULL OR id > $3)
             ORDER BY id LIMIT $4",
            tenant.to_string(),
            case.0,
            after.map(|id| id.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(rows
            .into_iter()
            .map(|row| Note {
                id: NoteId(row.id),
                kind: note_kind(&row.kind),
                author_id: PrincipalId(row.author_id),
                body: row.body,
                created_at: row.created_at,
            })
            .collect())
    }

    #[tracing::instrument(name = "SELECT case_evidence", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "case_evidence"))]
    async fn evidence(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<EvidenceId>,
        limit: u32,
    ) -> Result<Vec<EvidenceItem>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT e.id, e.sha256, b.size_bytes, b.media_type, e.file_name, e.description, e.added_by, e.created_at
             FROM docket.case_evidence e
             JOIN docket.evidence_blobs b ON b.tenant_id = e.tenant_id AND b.sha256 = e.sha256
             WHERE (SELECT ready FROM context) AND e.case_id = $2 AND ($3::uuid IS NULL OR e.id > $3)
             ORDER BY e.id LIMIT $4",
            tenant.to_string(),
            case.0,
            after.map(|id| id.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                Ok(EvidenceItem {
                    id: EvidenceId(row.id),
                    sha256: hash32(row.sha256)?,
                    size_bytes: unsigned(row.size_bytes),
                    media_type: row.media_type,
                    file_name: row.file_name,
                    description: row.description,
                    added_by: PrincipalId(row.added_by),
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    #[tracing::instrument(name = "SELECT case_links", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "case_links"))]
    async fn links(
        &self,
        viewer: Viewer,
        case: CaseId,
        after: Option<LinkId>,
        limit: u32,
    ) -> Result<Vec<LinkItem>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT l.id, l.case_id, l.target_case_id, l.kind, l.reason, l.created_by, l.created_at
             FROM docket.case_links l
             JOIN docket.cases c ON c.tenant_id = l.tenant_id
                  AND c.id = CASE WHEN l.case_id = $2 THEN l.target_case_id ELSE l.case_id END
             WHERE (SELECT ready FROM context) AND (l.case_id = $2 OR l.target_case_id = $2)
               AND ((c.confidentiality = 'public' AND $3) OR (c.confidentiality = 'internal' AND $4)
                    OR (c.confidentiality = 'restricted' AND $5)
                    OR ($3 AND (c.reporter_id = $6 OR c.assignee_id = $6)))
               AND ($7::uuid IS NULL OR l.id > $7)
             ORDER BY l.id LIMIT $8",
            viewer.tenant_id.to_string(),
            case.0,
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            after.map(|id| id.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                Ok(LinkItem {
                    id: LinkId(row.id),
                    case_id: CaseId(row.case_id),
                    target_case_id: CaseId(row.target_case_id),
                    kind: row.kind.parse().map_err(unreadable)?,
                    reason: row.reason,
                    created_by: PrincipalId(row.created_by),
                    created_at: row.created_at,
                })
            })
            .collect()
    }
}

/// For the statement that asks the index of words. It is planned with its words; and where pages cost next to nothing, as they do in
/// memory, nobody reads all of a large tenant's places in another index for the sake of a few pages fewer.
const WHOLE: &str = "SET LOCAL plan_cache_mode = auto; SET LOCAL random_page_cost = 0.1; SET LOCAL seq_page_cost = 0.1";

/// Begins a transaction that sees one tenant, in one round trip.
///
/// Lists name the tenant in their text, so that the planner knows how many cases it has. PostgreSQL then compares that
/// text with the setting before anything else runs, so the setting must be there first.
async fn begin_reading(
    pool: &PgPool,
    tenant: TenantId,
    kept: bool,
) -> Result<Transaction<'static, Postgres>, StoreError> {
    // A UUID prints as hexadecimal digits and dashes only, so nothing foreign enters the text.
    let set = if Fault::TenantSettingKept.is_seeded() { "SET" } else { "SET LOCAL" };
    let plans = if kept { "; SET LOCAL plan_cache_mode = force_generic_plan" } else { "" };
    let begin = format!("BEGIN READ ONLY; {set} docket.tenant = '{}'{plans}", tenant.0);
    begin_with(pool, begin).await.map_err(store_error)
}

/// Kept as a prepared statement with one plan where that serves all values; elsewhere every filter deserves a plan of its own, made
/// with the real ones.
async fn fetch_page(
    connection: &mut PgConnection,
    viewer: Viewer,
    filter: &CaseFilter,
    page: Page,
) -> Result<Vec<CaseRow>, StoreError> {
    let kept = case_list_query::keeps_plan(filter, page);
    let mut query = case_list_query::page(viewer, filter, page);
    query.build_query_as().persistent(kept).fetch_all(connection).await.map_err(store_error)
}

/// Whether near cases make the page: they fill it, and no branch of the list stopped looking before the page's last case.
async fn is_settled(
    connection: &mut PgConnection,
    viewer: Viewer,
    filter: &CaseFilter,
    page: Page,
    rows: &[CaseRow],
) -> Result<bool, StoreError> {
    let (Some(last), Reach::Near(cases), true) = (rows.last(), page.reach, rows.len() >= page.limit as usize) else {
        return Ok(false);
    };
    let last = Position { at: last.opened_at, id: CaseId(last.id) };
    let Some(mut deepest) = case_list_query::deepest(viewer, filter, page, last) else { return Ok(true) };
    let looked: i64 =
        deepest.build_query_scalar().persistent(false).fetch_one(connection).await.map_err(store_error)?;
    Ok(looked < i64::from(cases))
}

fn note_kind(name: &str) -> NoteKind {
    match name {
        "question" => NoteKind::Question,
        "answer" => NoteKind::Answer,
        _ => NoteKind::Note,
    }
}
