//! Passages in PostgreSQL: read them, and give them their embeddings.

use async_trait::async_trait;
use docket_domain::document::Chunk;
use docket_domain::ids::{ChunkId, DocumentId, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

use super::case_row::hash32;
use super::chunk_rows::vector_text;
use super::document_row::{ChunkRow, integer};
use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::chunk_store::{ChunkStore, Unembedded};

/// [`ChunkStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgChunkStore {
    pool: PgPool,
}

impl PgChunkStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl ChunkStore for PgChunkStore {
    async fn of_document(
        &self,
        viewer: Viewer,
        document: DocumentId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<Chunk>, StoreError> {
        let rows = sqlx::query_as!(
            ChunkRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT c.id, c.document_id, c.collection_id, c.generation, c.ordinal, c.text, c.heading_path, c.page_from,
                    c.page_to, c.char_start, c.char_end, c.token_count, c.content_sha256, c.confidentiality, c.created_by
             FROM docket.chunks c
             WHERE (SELECT ready FROM context) AND c.document_id = $2 AND c.ordinal >= $3
               AND ((c.confidentiality = 'public' AND $4) OR (c.confidentiality = 'internal' AND $5)
                    OR (c.confidentiality = 'restricted' AND $6) OR ($4 AND c.created_by = $7))
             ORDER BY c.ordinal LIMIT $8",
            viewer.tenant_id.to_string(),
            document.0,
            integer(from),
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            i64::from(limit)
        );
        rows.fetch_all(&self.pool).await.map_err(store_error)?.into_iter().map(ChunkRow::read).collect()
    }

    async fn by_ids(&self, viewer: Viewer, ids: &[ChunkId]) -> Result<Vec<Chunk>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query_as!(
            ChunkRow,
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT c.id, c.document_id, c.collection_id, c.generation, c.ordinal, c.text, c.heading_path, c.page_from,
                    c.page_to, c.char_start, c.char_end, c.token_count, c.content_sha256, c.confidentiality, c.created_by
             FROM docket.chunks c
             WHERE (SELECT ready FROM context) AND c.id = ANY($2)
               AND ((c.confidentiality = 'public' AND $3) OR (c.confidentiality = 'internal' AND $4)
                    OR (c.confidentiality = 'restricted' AND $5) OR ($3 AND c.created_by = $6))",
            viewer.tenant_id.to_string(),
            &ids,
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0
        );
        rows.fetch_all(&self.pool).await.map_err(store_error)?.into_iter().map(ChunkRow::read).collect()
    }

    async fn known_embeddings(
        &self,
        tenant: TenantId,
        contents: &[[u8; 32]],
    ) -> Result<Vec<([u8; 32], Vec<f32>)>, StoreError> {
        let contents: Vec<Vec<u8>> = contents.iter().map(|hash| hash.to_vec()).collect();
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT DISTINCT ON (c.content_sha256) c.content_sha256, c.embedding::real[] AS "embedding!"
             FROM docket.chunks c
             WHERE (SELECT ready FROM context) AND c.content_sha256 = ANY($2) AND c.embedding IS NOT NULL"#,
            tenant.to_string(),
            &contents
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        rows.into_iter().map(|row| Ok((hash32(row.content_sha256)?, row.embedding))).collect()
    }

    async fn without_embedding(&self, tenant: TenantId, limit: u32) -> Result<Vec<Unembedded>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, text, heading_path, content_sha256 FROM docket.chunks
             WHERE (SELECT ready FROM context) AND embedding IS NULL ORDER BY id LIMIT $2",
            tenant.to_string(),
            i64::from(limit)
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let read = |id, headings, text, hash| {
            Ok(Unembedded { id: ChunkId(id), headings, text, content_sha256: hash32(hash)? })
        };
        rows.into_iter().map(|row| read(row.id, row.heading_path, row.text, row.content_sha256)).collect()
    }

    async fn set_embeddings(&self, tenant: TenantId, embeddings: &[(ChunkId, Vec<f32>)]) -> Result<u64, StoreError> {
        let ids: Vec<Uuid> = embeddings.iter().map(|(id, _)| id.0).collect();
        let vectors: Vec<String> = embeddings.iter().map(|(_, vector)| vector_text(vector)).collect();
        let set = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             UPDATE docket.chunks c SET embedding = n.embedding::vector(384)
             FROM unnest($2::uuid[], $3::text[]) AS n (id, embedding)
             WHERE (SELECT ready FROM context) AND c.id = n.id",
            tenant.to_string(),
            &ids,
            &vectors
        );
        Ok(set.execute(&self.pool).await.map_err(store_error)?.rows_affected())
    }
}
