//! Passages by meaning: exactly in small tenants, by the graph in large ones, and the reading of what was found.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::document::Chunk;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use moka::sync::Cache;
use sqlx::PgPool;

use super::error::{store_error, unreadable};
use super::transaction::begin;
use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::passage_index::{Found, Method, Nearest, PassageFilter, PassageIndex};

/// Passages of a tenant from which on the graph is faster than comparing every vector (docs/retrieval.md).
pub const EXACT_BELOW: i64 = 20_000;
/// How long the number of a tenant's passages is remembered; the two ways differ in speed, not in what they may show.
const REMEMBERED: Duration = Duration::from_secs(30);
/// Candidates that the graph keeps while it searches (pgvector's `hnsw.ef_search`); never less than what is asked for.
const EF_SEARCH: u32 = 200;

/// [`PassageIndex`] on PostgreSQL with pgvector.
#[derive(Debug, Clone)]
pub struct PgPassageIndex {
    pool: PgPool,
    sizes: Cache<TenantId, i64>,
    exact_below: i64,
}

impl PgPassageIndex {
    /// An index on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self::with_threshold(pool, EXACT_BELOW)
    }

    /// An index that searches tenants of at least `exact_below` passages by the graph.
    pub fn with_threshold(pool: PgPool, exact_below: i64) -> Self {
        Self { pool, sizes: Cache::builder().max_capacity(100_000).time_to_live(REMEMBERED).build(), exact_below }
    }

    async fn size(&self, tenant: TenantId) -> Result<i64, StoreError> {
        if let Some(known) = self.sizes.get(&tenant) {
            return Ok(known);
        }
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT count(*) AS "size!" FROM docket.chunks
               WHERE (SELECT ready FROM context) AND embedding IS NOT NULL"#,
            tenant.to_string()
        )
        .fetch_one(&self.pool)
        .await
        .map_err(store_error)?;
        self.sizes.insert(tenant, row.size);
        Ok(row.size)
    }

    /// `+ 0` keeps the planner from the graph, which would leave out passages of a small tenant among large ones. The question
    /// stands in a subquery because a plan for any parameters, which `PostgreSQL` makes after five uses of a statement, would read
    /// its 384 numbers anew for every passage: a hundred times the work of comparing. The distance is selected as it is sorted,
    /// or it would be computed twice.
    async fn exact(&self, viewer: Viewer, asked: &Asked) -> Result<Vec<(ChunkId, f64)>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT id, (embedding <#> (SELECT $6::text::public.vector)) + 0 AS "distance!"
               FROM docket.chunks
               WHERE (SELECT ready FROM context) AND embedding IS NOT NULL
                 AND ((confidentiality = 'public' AND $2) OR (confidentiality = 'internal' AND $3)
                      OR (confidentiality = 'restricted' AND $4) OR ($2 AND created_by = $5))
                 AND ($7::uuid IS NULL OR collection_id = $7)
                 AND ($8::uuid[] IS NULL OR document_id = ANY ($8))
                 AND ($9::text[] IS NULL OR confidentiality = ANY ($9))
               ORDER BY "distance!", id LIMIT $10"#,
            viewer.tenant_id.to_string(),
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            asked.query,
            asked.collection,
            asked.documents.as_deref(),
            asked.confidentialities.as_deref(),
            asked.limit
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(rows.into_iter().map(|row| (ChunkId(row.id), -row.distance)).collect())
    }

    /// The graph's settings hold for one transaction. Iterative scans go on until enough of what it finds may be seen, or
    /// `hnsw.max_scan_tuples` were looked at. The planner knows the size of a middling tenant only, not that this one is large:
    /// left to itself it would compare every vector and sort.
    ///
    /// The digit stands in the text, because only a constant tells the planner which of the graphs is meant.
    async fn by_graph(&self, viewer: Viewer, asked: &Asked) -> Result<Vec<(ChunkId, f64)>, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        sqlx::query!(
            "SELECT set_config('docket.tenant', $1, true) AS tenant, set_config('hnsw.ef_search', $2, true) AS ef,
                    set_config('hnsw.iterative_scan', 'relaxed_order', true) AS iterative,
                    set_config('enable_sort', 'off', true) AS sort",
            viewer.tenant_id.to_string(),
            EF_SEARCH.max(u32::try_from(asked.limit).unwrap_or(EF_SEARCH)).min(1_000).to_string()
        )
        .fetch_one(&mut *transaction)
        .await
        .map_err(store_error)?;
        let rows: Vec<(uuid::Uuid, f64)> = sqlx::query_as(GRAPHS[usize::from(graph_of(viewer.tenant_id))].as_str())
            .bind(viewer.sight.public)
            .bind(viewer.sight.internal)
            .bind(viewer.sight.restricted)
            .bind(viewer.principal_id.0)
            .bind(&asked.query)
            .bind(asked.collection)
            .bind(asked.documents.as_deref())
            .bind(asked.confidentialities.as_deref())
            .bind(asked.limit)
            .fetch_all(&mut *transaction)
            .await
            .map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        let mut hits: Vec<_> = rows.into_iter().map(|(id, distance)| (ChunkId(id), -distance)).collect();
        // Relaxed order is nearly sorted, and by distances of 16 bits.
        hits.sort_by(|(left, left_score), (right, right_score)| {
            right_score.total_cmp(left_score).then(left.cmp(right))
        });
        Ok(hits)
    }
}

/// Which of the graphs holds a tenant's passages, as the migration computes it: the last hexadecimal digit of its id.
const fn graph_of(tenant: TenantId) -> u8 {
    tenant.0.as_bytes()[15] & 15
}

/// The search in each of the graphs.
static GRAPHS: LazyLock<[String; 16]> = LazyLock::new(|| std::array::from_fn(search_in));

fn search_in(graph: usize) -> String {
    format!(
        "SELECT id, embedding <#> (SELECT $5::text::public.vector)
         FROM docket.chunks
         WHERE get_byte(uuid_send(tenant_id), 15) & 15 = {graph}
           AND ((confidentiality = 'public' AND $1) OR (confidentiality = 'internal' AND $2)
                OR (confidentiality = 'restricted' AND $3) OR ($1 AND created_by = $4))
           AND ($6::uuid IS NULL OR collection_id = $6)
           AND ($7::uuid[] IS NULL OR document_id = ANY ($7))
           AND ($8::text[] IS NULL OR confidentiality = ANY ($8))
         ORDER BY embedding::public.halfvec(384) <#> (SELECT $5::text::public.halfvec(384)) LIMIT $9"
    )
}

/// A question in the form that SQL takes.
struct Asked {
    query: String,
    collection: Option<uuid::Uuid>,
    documents: Option<Vec<uuid::Uuid>>,
    confidentialities: Option<Vec<String>>,
    limit: i64,
}

impl Asked {
    fn new(query: &[f32], filter: &PassageFilter, limit: u32) -> Self {
        let documents: Vec<_> = filter.documents.iter().map(|id| id.0).collect();
        let levels: Vec<_> = filter.confidentialities.iter().map(|level| level.as_str().to_owned()).collect();
        Self {
            query: vector_text(query),
            collection: filter.collection.map(|id| id.0),
            documents: (!documents.is_empty()).then_some(documents),
            confidentialities: (!levels.is_empty()).then_some(levels),
            limit: i64::from(limit),
        }
    }
}

/// A vector as pgvector reads it.
fn vector_text(vector: &[f32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(vector.len() * 12 + 2);
    text.push('[');
    for (place, value) in vector.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{value}");
    }
    text.push(']');
    text
}

#[async_trait]
impl PassageIndex for PgPassageIndex {
    async fn collection(&self, tenant: TenantId, name: &str) -> Result<Option<CollectionId>, StoreError> {
        let row = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.collections WHERE (SELECT ready FROM context) AND name = $2",
            tenant.to_string(),
            name
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.map(|row| CollectionId(row.id)))
    }

    #[tracing::instrument(name = "SELECT chunks nearest", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "chunks"))]
    async fn nearest(
        &self,
        viewer: Viewer,
        query: &[f32],
        filter: &PassageFilter,
        limit: u32,
    ) -> Result<Nearest, StoreError> {
        let asked = Asked::new(query, filter, limit);
        if self.size(viewer.tenant_id).await? < self.exact_below {
            return Ok(Nearest { hits: self.exact(viewer, &asked).await?, method: Method::Exact });
        }
        let hits = self.by_graph(viewer, &asked).await?;
        if i64::try_from(hits.len()).unwrap_or(i64::MAX) >= asked.limit {
            return Ok(Nearest { hits, method: Method::Hnsw });
        }
        // The graph was left before it had found enough that passes the filters, so they leave little: that is compared whole.
        Ok(Nearest { hits: self.exact(viewer, &asked).await?, method: Method::Exact })
    }

    #[tracing::instrument(name = "SELECT chunks", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "chunks"))]
    async fn found(&self, viewer: Viewer, ids: &[ChunkId]) -> Result<Vec<Found>, StoreError> {
        let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT c.id, c.document_id, c.collection_id, c.generation, c.ordinal, c.text, c.heading_path, c.page_from,
                      c.page_to, c.char_start, c.char_end, c.token_count, c.content_sha256, c.confidentiality,
                      c.created_by, c.embedding::real[] AS embedding, d.title
               FROM docket.chunks c
               JOIN docket.documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id
               WHERE (SELECT ready FROM context) AND c.id = ANY ($6)
                 AND ((c.confidentiality = 'public' AND $2) OR (c.confidentiality = 'internal' AND $3)
                      OR (c.confidentiality = 'restricted' AND $4) OR ($2 AND c.created_by = $5))"#,
            viewer.tenant_id.to_string(),
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            &ids
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let number = |value: i32| u32::try_from(value).map_err(StoreError::internal);
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let chunk = Chunk {
                id: ChunkId(row.id),
                document_id: DocumentId(row.document_id),
                collection_id: CollectionId(row.collection_id),
                generation: number(row.generation)?,
                ordinal: number(row.ordinal)?,
                text: row.text,
                heading_path: row.heading_path,
                page_from: row.page_from.map(number).transpose()?,
                page_to: row.page_to.map(number).transpose()?,
                char_start: number(row.char_start)?,
                char_end: number(row.char_end)?,
                token_count: number(row.token_count)?,
                content_sha256: row.content_sha256.try_into().unwrap_or_default(),
                confidentiality: row.confidentiality.parse().map_err(unreadable)?,
                created_by: PrincipalId(row.created_by),
            };
            found.push(Found { chunk, title: row.title, embedding: row.embedding });
        }
        Ok(found)
    }
}
