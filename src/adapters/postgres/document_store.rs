//! Documents in PostgreSQL: look up, list, and publish what was read in them.

use async_trait::async_trait;
use docket_domain::document::{Collection, Document, DocumentStatus, Failure};
use docket_domain::ids::{DocumentId, TenantId};
use docket_domain::job::JobLease;
use sqlx::{PgConnection, PgPool};

use super::chunk_rows::insert_chunks;
use super::document_row::{CollectionRow, DocumentRow, integer, natural};
use super::error::store_error;
use super::job_store;
use super::transaction::begin;
use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::document_store::{
    DocumentFilter, DocumentStore, DocumentText, Place, Published, Reading,
};

/// [`DocumentStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgDocumentStore {
    pool: PgPool,
}

impl PgDocumentStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl DocumentStore for PgDocumentStore {
    async fn get(&self, tenant: TenantId, id: DocumentId) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query_as!(
            DocumentRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT tenant_id, id, collection_id, title, source, url, media_type, sha256, size_bytes, language, confidentiality,
                    status, failure_code, failure_reason, version, generation, pages, chunk_count, job_id, created_by,
                    created_at, updated_at
             FROM docket.documents WHERE (SELECT ready FROM context) AND id = $2",
            tenant.to_string(),
            id.0
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(DocumentRow::read).transpose()
    }

    async fn list(
        &self,
        viewer: Viewer,
        filter: &DocumentFilter,
        before: Option<DocumentId>,
        limit: u32,
    ) -> Result<Vec<Document>, StoreError> {
        let rows = sqlx::query_as!(
            DocumentRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT tenant_id, id, collection_id, title, source, url, media_type, sha256, size_bytes, language, confidentiality,
                    status, failure_code, failure_reason, version, generation, pages, chunk_count, job_id, created_by,
                    created_at, updated_at
             FROM docket.documents d
             WHERE (SELECT ready FROM context)
               AND ((d.confidentiality = 'public' AND $2) OR (d.confidentiality = 'internal' AND $3)
                    OR (d.confidentiality = 'restricted' AND $4) OR ($2 AND d.created_by = $5))
               AND ($6::uuid IS NULL OR d.collection_id = $6) AND ($7::text IS NULL OR d.status = $7)
               AND ($8::uuid IS NULL OR d.id < $8)
             ORDER BY d.id DESC LIMIT $9",
            viewer.tenant_id.to_string(),
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            filter.collection.map(|id| id.0),
            filter.status.map(DocumentStatus::as_str),
            before.map(|id| id.0),
            i64::from(limit)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(DocumentRow::read).collect()
    }

    async fn find_source(&self, tenant: TenantId, at: &Place, source: &str) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query_as!(
            DocumentRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT tenant_id, id, collection_id, title, source, url, media_type, sha256, size_bytes, language, confidentiality,
                    status, failure_code, failure_reason, version, generation, pages, chunk_count, job_id, created_by,
                    created_at, updated_at
             FROM docket.documents
             WHERE (SELECT ready FROM context) AND collection_id = $2 AND confidentiality = $3 AND source = $4",
            tenant.to_string(),
            at.collection.0,
            at.confidentiality.as_str(),
            source
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(DocumentRow::read).transpose()
    }

    async fn find_content(
        &self,
        tenant: TenantId,
        at: &Place,
        sha256: [u8; 32],
    ) -> Result<Option<Document>, StoreError> {
        let row = sqlx::query_as!(
            DocumentRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT tenant_id, id, collection_id, title, source, url, media_type, sha256, size_bytes, language, confidentiality,
                    status, failure_code, failure_reason, version, generation, pages, chunk_count, job_id, created_by,
                    created_at, updated_at
             FROM docket.documents
             WHERE (SELECT ready FROM context) AND sha256 = $4 AND collection_id = $2 AND confidentiality = $3
             ORDER BY id LIMIT 1",
            tenant.to_string(),
            at.collection.0,
            at.confidentiality.as_str(),
            &sha256[..]
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(DocumentRow::read).transpose()
    }

    async fn collection(&self, tenant: TenantId, name: &str) -> Result<Option<Collection>, StoreError> {
        let row = sqlx::query_as!(
            CollectionRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, name, chunking_strategy, chunk_size, chunk_overlap, created_by, created_at
             FROM docket.collections WHERE (SELECT ready FROM context) AND name = $2",
            tenant.to_string(),
            name
        );
        row.fetch_optional(&self.pool).await.map_err(store_error)?.map(CollectionRow::read).transpose()
    }

    async fn collections(&self, tenant: TenantId) -> Result<Vec<Collection>, StoreError> {
        let rows = sqlx::query_as!(
            CollectionRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, name, chunking_strategy, chunk_size, chunk_overlap, created_by, created_at
             FROM docket.collections WHERE (SELECT ready FROM context) ORDER BY name",
            tenant.to_string()
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(CollectionRow::read).collect()
    }

    async fn text(&self, tenant: TenantId, id: DocumentId) -> Result<Option<DocumentText>, StoreError> {
        let row = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT generation, text, page_starts FROM docket.document_texts
             WHERE (SELECT ready FROM context) AND document_id = $2",
            tenant.to_string(),
            id.0
        );
        let row = row.fetch_optional(&self.pool).await.map_err(store_error)?;
        Ok(row.map(|row| DocumentText {
            generation: natural(row.generation),
            text: row.text,
            page_starts: row.page_starts.into_iter().map(natural).collect(),
        }))
    }

    async fn begin(&self, tenant: TenantId, id: DocumentId, version: u32) -> Result<bool, StoreError> {
        let begun = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             UPDATE docket.documents SET status = 'processing', updated_at = now()
             WHERE (SELECT ready FROM context) AND id = $2 AND version = $3 AND generation < version AND status <> 'failed'",
            tenant.to_string(),
            id.0,
            integer(version)
        );
        Ok(begun.execute(&self.pool).await.map_err(store_error)?.rows_affected() == 1)
    }

    async fn publish(&self, reading: &Reading, completes: JobLease) -> Result<Published, StoreError> {
        publish(&self.pool, reading, completes).await.map_err(store_error)
    }

    async fn fail(
        &self,
        tenant: TenantId,
        id: DocumentId,
        version: u32,
        failure: &Failure,
        completes: JobLease,
    ) -> Result<Published, StoreError> {
        fail(&self.pool, tenant, id, version, failure, completes).await.map_err(store_error)
    }
}

async fn enter(connection: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
    let set = sqlx::query!("SELECT set_config('docket.tenant', $1, true) AS tenant", tenant.to_string());
    set.fetch_one(connection).await.map(drop)
}

/// The document's row first: it is locked until the end, so that of two readings one comes after the other.
async fn publish(pool: &PgPool, reading: &Reading, completes: JobLease) -> Result<Published, sqlx::Error> {
    let mut transaction = begin(pool).await?;
    let document = reading.document_id.0;
    let version = integer(reading.version);
    enter(&mut transaction, reading.tenant_id).await?;
    let moved = sqlx::query!(
        "UPDATE docket.documents
         SET status = 'ready', failure_code = NULL, failure_reason = NULL, generation = $2, pages = $3, chunk_count = $4,
             title = coalesce($5, title), language = $6, updated_at = now()
         WHERE id = $1 AND version = $2 AND generation < $2",
        document,
        version,
        (!reading.text.page_starts.is_empty()).then(|| i32::try_from(reading.text.page_starts.len()).unwrap_or(i32::MAX)),
        i32::try_from(reading.chunks.len()).unwrap_or(i32::MAX),
        reading.title,
        reading.language
    );
    if moved.execute(&mut *transaction).await?.rows_affected() != 1 {
        return Ok(Published::Outdated);
    }
    if !job_store::complete(&mut transaction, completes).await? {
        return Ok(Published::LeaseLost);
    }
    sqlx::query!("DELETE FROM docket.chunks WHERE document_id = $1", document).execute(&mut *transaction).await?;
    let starts: Vec<i32> = reading.text.page_starts.iter().copied().map(integer).collect();
    sqlx::query!(
        "INSERT INTO docket.document_texts (tenant_id, document_id, generation, text, page_starts)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, document_id)
             DO UPDATE SET generation = excluded.generation, text = excluded.text, page_starts = excluded.page_starts",
        reading.tenant_id.0,
        document,
        version,
        reading.text.text,
        &starts
    )
    .execute(&mut *transaction)
    .await?;
    insert_chunks(&mut transaction, reading.tenant_id, &reading.chunks).await?;
    transaction.commit().await?;
    Ok(Published::Done)
}

async fn fail(
    pool: &PgPool,
    tenant: TenantId,
    id: DocumentId,
    version: u32,
    failure: &Failure,
    completes: JobLease,
) -> Result<Published, sqlx::Error> {
    let mut transaction = begin(pool).await?;
    enter(&mut transaction, tenant).await?;
    let failed = sqlx::query!(
        "UPDATE docket.documents SET status = 'failed', failure_code = $3, failure_reason = $4, updated_at = now()
         WHERE id = $1 AND version = $2 AND generation < $2",
        id.0,
        integer(version),
        failure.code.as_str(),
        failure.reason
    );
    if failed.execute(&mut *transaction).await?.rows_affected() != 1 {
        return Ok(Published::Outdated);
    }
    if !job_store::complete(&mut transaction, completes).await? {
        return Ok(Published::LeaseLost);
    }
    transaction.commit().await?;
    Ok(Published::Done)
}
