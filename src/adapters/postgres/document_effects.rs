//! What an act on documents changes, as steps of the transaction that also records the act.

use docket_domain::document::{Collection, Document};
use docket_domain::ids::TenantId;
use sqlx::PgConnection;

use super::case_row::signed;
use super::document_row::integer;
use crate::application::ports::tenancy_store::DocumentEffect;

/// Carries out one step; the tenant is set already. False when what it was decided on is no longer so.
pub(super) async fn apply(
    connection: &mut PgConnection,
    tenant: TenantId,
    effect: &DocumentEffect,
) -> Result<bool, sqlx::Error> {
    match effect {
        DocumentEffect::CreateCollection(collection) => create_collection(connection, tenant, collection).await,
        DocumentEffect::Create(document) => {
            keep_content(connection, tenant, document).await?;
            create(connection, tenant, document).await
        }
        DocumentEffect::Replace(document) => {
            keep_content(connection, tenant, document).await?;
            replace(connection, document).await
        }
        DocumentEffect::Delete(id) => {
            // Passages first: their deletion is noted for the indexes that follow, in this transaction.
            sqlx::query!("DELETE FROM docket.chunks WHERE document_id = $1", id.0).execute(&mut *connection).await?;
            let gone = sqlx::query!("DELETE FROM docket.documents WHERE id = $1", id.0).execute(connection).await?;
            Ok(gone.rows_affected() == 1)
        }
    }
}

async fn create_collection(
    connection: &mut PgConnection,
    tenant: TenantId,
    collection: &Collection,
) -> Result<bool, sqlx::Error> {
    let created = sqlx::query!(
        "INSERT INTO docket.collections
             (tenant_id, id, name, chunking_strategy, chunk_size, chunk_overlap, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        tenant.0,
        collection.id.0,
        collection.name,
        collection.chunking.strategy.as_str(),
        integer(collection.chunking.size),
        integer(collection.chunking.overlap),
        collection.created_by.0,
        collection.created_at
    );
    Ok(created.execute(connection).await?.rows_affected() == 1)
}

/// The row that keeps the bytes from being swept.
async fn keep_content(connection: &mut PgConnection, tenant: TenantId, document: &Document) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
         VALUES ($1, decode($2, 'hex'), $3, $4, $5) ON CONFLICT DO NOTHING",
        tenant.0,
        document.sha256,
        signed(document.size_bytes),
        document.media_type,
        document.updated_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn create(connection: &mut PgConnection, tenant: TenantId, document: &Document) -> Result<bool, sqlx::Error> {
    let created = sqlx::query!(
        "INSERT INTO docket.documents
             (tenant_id, id, collection_id, title, source, url, media_type, sha256, size_bytes, confidentiality, status,
              version, job_id, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, decode($8, 'hex'), $9, $10, $11, $12, $13, $14, $15, $15)
         ON CONFLICT DO NOTHING",
        tenant.0,
        document.id.0,
        document.collection_id.0,
        document.title,
        document.source,
        document.url,
        document.media_type,
        document.sha256,
        signed(document.size_bytes),
        document.confidentiality.as_str(),
        document.status.as_str(),
        integer(document.version),
        document.job_id,
        document.created_by.0,
        document.created_at
    );
    Ok(created.execute(connection).await?.rows_affected() == 1)
}

/// The version it was decided on is the one before.
async fn replace(connection: &mut PgConnection, document: &Document) -> Result<bool, sqlx::Error> {
    let replaced = sqlx::query!(
        "UPDATE docket.documents
         SET title = $3, url = $4, media_type = $5, sha256 = decode($6, 'hex'), size_bytes = $7, status = $8,
             failure_code = NULL, failure_reason = NULL, version = $2, job_id = $9, updated_at = $10
         WHERE id = $1 AND version = $2 - 1",
        document.id.0,
        integer(document.version),
        document.title,
        document.url,
        document.media_type,
        document.sha256,
        signed(document.size_bytes),
        document.status.as_str(),
        document.job_id,
        document.updated_at
    );
    Ok(replaced.execute(connection).await?.rows_affected() == 1)
}
