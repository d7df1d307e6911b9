//! What the database knows of stored content, and the hold under which unused content is removed.

use async_trait::async_trait;
use sqlx::{PgPool, Postgres, Transaction};

use super::case_row::unsigned;
use super::error::{broken_constraint, store_error};
use super::transaction::begin;
use crate::application::ports::StoreError;
use crate::application::ports::blob_store::ContentAddress;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::evidence_index::{EvidenceIndex, KnownContent, UnusedContent};

/// [`EvidenceIndex`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgEvidenceIndex {
    pool: PgPool,
}

impl PgEvidenceIndex {
    /// An index on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

struct Hold(Transaction<'static, Postgres>);

#[async_trait]
impl UnusedContent for Hold {
    async fn forget(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await.map_err(store_error)
    }
}

#[async_trait]
impl EvidenceIndex for PgEvidenceIndex {
    async fn visible_content(&self, viewer: Viewer, sha256: [u8; 32]) -> Result<Option<KnownContent>, StoreError> {
        let row = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT b.size_bytes, b.media_type, e.file_name
             FROM docket.case_evidence e
             JOIN docket.evidence_blobs b ON b.tenant_id = e.tenant_id AND b.sha256 = e.sha256
             JOIN docket.cases c ON c.tenant_id = e.tenant_id AND c.id = e.case_id
             WHERE (SELECT ready FROM context) AND e.sha256 = $2
               AND ((c.confidentiality = 'public' AND $3) OR (c.confidentiality = 'internal' AND $4)
                    OR (c.confidentiality = 'restricted' AND $5)
                    OR ($3 AND (c.reporter_id = $6 OR c.assignee_id = $6)))
             ORDER BY e.id LIMIT 1",
            viewer.tenant_id.to_string(),
            &sha256[..],
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(row.map(|row| KnownContent {
            size_bytes: unsigned(row.size_bytes),
            media_type: row.media_type,
            file_name: row.file_name,
        }))
    }

    async fn hold_unused(&self, content: ContentAddress) -> Result<Option<Box<dyn UnusedContent>>, StoreError> {
        let mut transaction = begin(&self.pool).await.map_err(store_error)?;
        // The row is written if there is none and deleted again, both uncommitted: whoever attaches this content writes
        // the same row, and waits on it for the end of this transaction.
        let inserted = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
             SELECT $1::text::uuid, $2, 0, '', now() FROM context WHERE ready
             ON CONFLICT DO NOTHING",
            content.tenant_id.to_string(),
            &content.sha256[..]
        )
        .execute(&mut *transaction)
        .await;
        match inserted {
            Ok(_) => {}
            // Content of a tenant that this database does not know is not ours to remove.
            Err(error) if broken_constraint(&error).is_some() => return Ok(None),
            Err(error) => return Err(store_error(error)),
        }
        let deleted = sqlx::query!(
            "DELETE FROM docket.evidence_blobs b
             WHERE b.tenant_id = $1 AND b.sha256 = $2 AND NOT EXISTS (
                 SELECT FROM docket.case_evidence e WHERE e.tenant_id = b.tenant_id AND e.sha256 = b.sha256)",
            content.tenant_id.0,
            &content.sha256[..]
        )
        .execute(&mut *transaction)
        .await;
        match deleted {
            Ok(done) if done.rows_affected() == 1 => Ok(Some(Box::new(Hold(transaction)))),
            Ok(_) => Ok(None),
            // An attachment was committed between the look and the deletion.
            Err(error) if broken_constraint(&error).is_some() => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }
}
