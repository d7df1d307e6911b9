//! What indexes of words follow: passages and their removal in the order of their transactions.

use std::collections::HashMap;

use async_trait::async_trait;
use docket_domain::document::with_headings;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use sqlx::PgPool;

use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::keyword_index::{Followed, KeywordChange, KeywordChanges, KeywordEntry, KeywordFeed};

/// [`KeywordFeed`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgKeywordFeed {
    pool: PgPool,
}

/// A removal with the number of its transaction.
struct Removal {
    written_by: u64,
    tenant_id: TenantId,
    document_id: DocumentId,
    generation: u32,
}

impl PgKeywordFeed {
    /// A feed on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    async fn epoch(&self) -> Result<i64, StoreError> {
        let row = sqlx::query!(
            r#"SELECT last_value + CASE WHEN is_called THEN 1 ELSE 0 END AS "epoch!" FROM docket.keyword_index_epoch"#
        );
        Ok(row.fetch_one(&self.pool).await.map_err(store_error)?.epoch)
    }

    /// Where whoever begins follows removals from: what an earlier transaction removed is in no snapshot from now on.
    async fn horizon(&self) -> Result<u64, StoreError> {
        let row = sqlx::query!(r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS "horizon!""#);
        let horizon = row.fetch_one(&self.pool).await.map_err(store_error)?.horizon;
        horizon.parse().map_err(StoreError::internal)
    }

    async fn added(&self, after: Followed, limit: u32) -> Result<Vec<(u64, KeywordEntry)>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT written_by::text AS "written_by!", id AS "id!", tenant_id AS "tenant_id!",
                      document_id AS "document_id!", collection_id AS "collection_id!", generation AS "generation!",
                      text AS "text!", heading_path AS "heading_path!", confidentiality AS "confidentiality!",
                      created_by AS "created_by!"
               FROM docket.chunks_after($1::text::xid8, $2, $3)"#,
            after.added.0.to_string(),
            after.added.1,
            i32::try_from(limit).unwrap_or(i32::MAX)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let mut added = Vec::with_capacity(rows.len());
        for row in rows {
            let entry = KeywordEntry {
                tenant_id: TenantId(row.tenant_id),
                chunk_id: ChunkId(row.id),
                document_id: DocumentId(row.document_id),
                generation: u32::try_from(row.generation).map_err(StoreError::internal)?,
                collection_id: CollectionId(row.collection_id),
                confidentiality: row.confidentiality.parse().map_err(unreadable)?,
                created_by: PrincipalId(row.created_by),
                text: with_headings(&row.heading_path, &row.text),
            };
            added.push((row.written_by.parse().map_err(StoreError::internal)?, entry));
        }
        Ok(added)
    }

    async fn removed(&self, after: Followed, limit: u32) -> Result<Vec<Removal>, StoreError> {
        let (transaction, document, generation) = after.removed;
        let rows = sqlx::query!(
            r#"SELECT written_by::text AS "written_by!", tenant_id AS "tenant_id!", document_id AS "document_id!",
                      generation AS "generation!"
               FROM docket.chunk_deletions_after($1::text::xid8, $2, $3, $4)"#,
            transaction.to_string(),
            document,
            i32::try_from(generation).unwrap_or(i32::MAX),
            i32::try_from(limit).unwrap_or(i32::MAX)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let removal = |(written_by, tenant, document, generation): (String, _, _, i32)| -> Result<Removal, StoreError> {
            Ok(Removal {
                written_by: written_by.parse().map_err(StoreError::internal)?,
                tenant_id: TenantId(tenant),
                document_id: DocumentId(document),
                generation: u32::try_from(generation).map_err(StoreError::internal)?,
            })
        };
        let fields = rows.into_iter().map(|row| (row.written_by, row.tenant_id, row.document_id, row.generation));
        fields.map(removal).collect()
    }
}

#[async_trait]
impl KeywordFeed for PgKeywordFeed {
    async fn changes(&self, after: Followed, limit: u32) -> Result<KeywordChanges, StoreError> {
        let epoch = self.epoch().await?;
        let mut next = after;
        if after == Followed::default() {
            // Before the passages are read: what is removed while they are is not missed.
            next.removed.0 = self.horizon().await?;
        }
        let added = self.added(after, limit).await?;
        let complete = added.len() < limit as usize;
        if let Some((transaction, entry)) = added.last() {
            next.added = (*transaction, entry.chunk_id.0);
        }
        // Removals are read to their end and after the passages: whatever removed a passage of this page, or made room
        // for it, is known then.
        let mut removals = Vec::new();
        loop {
            let page = self.removed(next, limit).await?;
            let full = page.len() >= limit as usize;
            if let Some(last) = page.last() {
                next.removed = (last.written_by, last.document_id.0, last.generation);
            }
            removals.extend(page);
            if !full {
                break;
            }
        }
        // A reading that was removed by a later transaction than the one that wrote it is gone; one that was removed by
        // the same or an earlier one was written again after that.
        let removed_at: HashMap<_, _> = removals
            .iter()
            .map(|gone| ((gone.tenant_id, gone.document_id, gone.generation), gone.written_by))
            .collect();
        let stays = |(written_by, entry): &(u64, KeywordEntry)| {
            let key = (entry.tenant_id, entry.document_id, entry.generation);
            removed_at.get(&key).is_none_or(|removed| removed <= written_by)
        };
        let kept: Vec<_> = added.into_iter().filter(stays).collect();
        let removals = removals.into_iter().map(|gone| KeywordChange::Remove {
            tenant_id: gone.tenant_id,
            document_id: gone.document_id,
            generation: gone.generation,
        });
        let changes = removals.chain(kept.into_iter().map(|(_, entry)| KeywordChange::Add(entry))).collect();
        Ok(KeywordChanges { changes, next, complete, epoch })
    }

    async fn request_rebuild(&self) -> Result<i64, StoreError> {
        let row = sqlx::query!(r#"SELECT nextval('docket.keyword_index_epoch') AS "epoch!""#);
        Ok(row.fetch_one(&self.pool).await.map_err(store_error)?.epoch + 1)
    }
}
