//! Which model the stored vectors are of, by the functions of `migrations/0036_embedding_model.sql`.

use async_trait::async_trait;
use docket_domain::ids::{ChunkId, TenantId};
use sqlx::PgPool;

use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::vector_origin::VectorOrigin;

/// [`VectorOrigin`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgVectorOrigin {
    pool: PgPool,
}

impl PgVectorOrigin {
    /// Over a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl VectorOrigin for PgVectorOrigin {
    async fn claim(&self, identity: &str) -> Result<bool, StoreError> {
        let own = sqlx::query_scalar!(r#"SELECT docket.claim_embedding_model($1) AS "own!""#, identity);
        own.fetch_one(&self.pool).await.map_err(store_error)
    }

    async fn forget(
        &self,
        identity: &str,
        (tenant, passage): (TenantId, ChunkId),
        limit: u32,
    ) -> Result<Option<(TenantId, ChunkId)>, StoreError> {
        let batch = sqlx::query!(
            r#"SELECT last_tenant AS "tenant!", last_id AS "id!"
               FROM docket.forget_vectors_of_another_model($1, $2, $3, $4)"#,
            identity,
            tenant.0,
            passage.0,
            i32::try_from(limit).unwrap_or(i32::MAX)
        );
        let last = batch.fetch_optional(&self.pool).await.map_err(store_error)?;
        Ok(last.map(|last| (TenantId(last.tenant), ChunkId(last.id))))
    }
}
