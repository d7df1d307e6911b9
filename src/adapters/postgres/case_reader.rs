//! Cases in PostgreSQL, the reading side: single, listed, searched, and what hangs on them.

use async_trait::async_trait;
use docket_domain::case::Case;
use docket_domain::ids::{CaseId, EvidenceId, LinkId, NoteId, PrincipalId, TenantId};
use sqlx::{PgPool, Postgres, QueryBuilder};

use super::case_row::{CASE_COLUMNS, CaseRow, case_row, hash32, unsigned};
use super::error::{store_error, unreadable};
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
}

impl PgCaseReader {
    /// A reader on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl CaseReader for PgCaseReader {
    #[tracing::instrument(name = "SELECT cases", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
    async fn get(&self, tenant: TenantId, case: CaseId) -> Result<Option<StoredCase>, StoreError> {
        let nobody: Option<uuid::Uuid> = None;
        let no_key: Option<&str> = None;
        let row =
            sqlx::query_file!("src/adapters/postgres/sql/load_case.sql", tenant.to_string(), case.0, nobody, no_key)
                .fetch_optional(&self.pool)
                .await
                .map_err(store_error)?;
        row.map(|row| StoredCase::try_from(case_row!(row))).transpose()
    }

    #[tracing::instrument(name = "SELECT cases list", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
    async fn list(
        &self,
        viewer: Viewer,
        filter: &CaseFilter,
        sort: CaseSort,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError> {
        let mut query = tenant_query(viewer, &format!("SELECT {CASE_COLUMNS} FROM docket.cases"));
        push_filter(&mut query, viewer, filter);
        push_page(&mut query, sort, after, limit);
        // Not kept as a prepared statement: every filter deserves a plan of its own, made with the real values.
        let rows: Vec<CaseRow> =
            query.build_query_as().persistent(false).fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(|row| StoredCase::try_from(row).map(|stored| stored.case)).collect()
    }

    #[tracing::instrument(name = "SELECT cases count", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
    async fn count(&self, viewer: Viewer, filter: &CaseFilter) -> Result<u64, StoreError> {
        let mut query = tenant_query(viewer, "SELECT count(*) FROM docket.cases");
        push_filter(&mut query, viewer, filter);
        let count: i64 =
            query.build_query_scalar().persistent(false).fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(unsigned(count))
    }

    #[tracing::instrument(name = "SELECT case_notes", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
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

    #[tracing::instrument(name = "SELECT case_evidence", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
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

    #[tracing::instrument(name = "SELECT case_links", skip_all, fields(otel.kind = "client", db.system.name = "postgresql"))]
    async fn links(&self, viewer: Viewer, case: CaseId) -> Result<Vec<LinkItem>, StoreError> {
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
             ORDER BY l.id",
            viewer.tenant_id.to_string(),
            case.0,
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0
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

/// Begins a dynamic query with the tenant's context and its gate.
fn tenant_query(viewer: Viewer, select: &str) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', ");
    query.push_bind(viewer.tenant_id.to_string());
    let of_transaction = if Fault::TenantSettingKept.is_seeded() { "false" } else { "true" };
    query.push(format!(", {of_transaction}) IS NOT NULL AS ready) "));
    query.push(select);
    query.push(" WHERE (SELECT ready FROM context)");
    query
}

/// The SQL form of `docket_domain::case::visibility::may_see`; `tests/api/visibility.rs` holds the two together.
///
/// Written as the shortest condition that the sight needs, so that a supervisor's lists carry no condition at all.
pub(super) fn push_visibility(query: &mut QueryBuilder<Postgres>, viewer: Viewer) {
    let sight = viewer.sight;
    if !sight.public {
        query.push(" AND false");
        return;
    }
    if (sight.internal && sight.restricted) || Fault::ListWithoutVisibility.is_seeded() {
        return;
    }
    let levels = match (sight.internal, sight.restricted) {
        (true, _) => "'public', 'internal'",
        (false, true) => "'public', 'restricted'",
        (false, false) => "'public'",
    };
    query.push(format!(" AND (confidentiality IN ({levels}) OR reporter_id = "));
    query.push_bind(viewer.principal_id.0);
    query.push(" OR assignee_id = ");
    query.push_bind(viewer.principal_id.0);
    query.push(")");
}

fn push_filter(query: &mut QueryBuilder<Postgres>, viewer: Viewer, filter: &CaseFilter) {
    push_visibility(query, viewer);
    push_names(query, "state", filter.states.iter().map(|name| name.as_str()));
    if !filter.states.is_empty() && filter.states.iter().all(|state| !state.is_terminal()) {
        // Says the same in the words of the partial index over open cases.
        query.push(" AND closed_at IS NULL");
    }
    push_names(query, "severity", filter.severities.iter().map(|name| name.as_str()));
    push_names(query, "confidentiality", filter.confidentialities.iter().map(|name| name.as_str()));
    if let Some(assignee) = filter.assignee_id {
        query.push(" AND assignee_id = ").push_bind(assignee.0);
    }
    if let Some(reporter) = filter.reporter_id {
        query.push(" AND reporter_id = ").push_bind(reporter.0);
    }
    if let Some(case_type) = &filter.case_type {
        query.push(" AND case_type = ").push_bind(case_type.clone());
    }
    if let Some(reference) = &filter.reference {
        query.push(" AND reference = ").push_bind(reference.clone());
    }
    if let Some(from) = filter.opened_from {
        query.push(" AND opened_at >= ").push_bind(from);
    }
    if let Some(before) = filter.opened_before {
        query.push(" AND opened_at < ").push_bind(before);
    }
    if let Some(before) = filter.due_before {
        query.push(" AND closed_at IS NULL AND due_at < ").push_bind(before);
    }
    if let Some(text) = &filter.text {
        // A text without any word (only stop words or signs) finds nothing, rather than everything.
        query.push(" AND numnode(websearch_to_tsquery('english', ").push_bind(text.clone()).push(")) > 0");
        query.push(" AND search @@ (websearch_to_tsquery('english', ").push_bind(text.clone());
        query.push(") && ").push_bind(format!("'tenant:{}'", viewer.tenant_id)).push("::tsquery)");
    }
}

fn push_names<'a>(query: &mut QueryBuilder<Postgres>, column: &str, names: impl Iterator<Item = &'a str>) {
    let names: Vec<String> = names.map(str::to_owned).collect();
    match names.as_slice() {
        [] => {}
        [one] => {
            query.push(format!(" AND {column} = ")).push_bind(one.clone());
        }
        _ => {
            query.push(format!(" AND {column} = ANY(")).push_bind(names).push(")");
        }
    }
}

fn push_page(query: &mut QueryBuilder<Postgres>, sort: CaseSort, after: Option<Position>, limit: u32) {
    let (column, comparison, order) = match sort {
        CaseSort::OpenedDescending => ("opened_at", "<", "opened_at DESC, id DESC"),
        CaseSort::OpenedAscending => ("opened_at", ">", "opened_at, id"),
        CaseSort::DueAscending => ("due_at", ">", "due_at, id"),
    };
    if sort == CaseSort::DueAscending {
        query.push(" AND closed_at IS NULL AND due_at IS NOT NULL");
    }
    if let Some(position) = after {
        query.push(format!(" AND ({column}, id) {comparison} (")).push_bind(position.at);
        query.push(", ").push_bind(position.id.0).push(")");
    }
    query.push(format!(" ORDER BY {order} LIMIT ")).push_bind(i64::from(limit));
}

fn note_kind(name: &str) -> NoteKind {
    match name {
        "question" => NoteKind::Question,
        "answer" => NoteKind::Answer,
        _ => NoteKind::Note,
    }
}
