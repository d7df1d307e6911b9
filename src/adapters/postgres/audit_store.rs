//! The audit trail in PostgreSQL: records, heads and checkpoints, read in pages of bounded size.

use async_trait::async_trait;
use docket_domain::audit::ChainHead;
use docket_domain::audit::checkpoint::{CheckpointStatement, HeadsDigest};
use docket_domain::ids::{PrincipalId, TenantId};
use futures::TryStreamExt;
use sqlx::{PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::{hash32, signed, unsigned};
use super::error::{broken_constraint, store_error};
use super::remember::remember;
use super::transaction::begin_with;
use crate::application::ports::StoreError;
use crate::application::ports::audit_store::{
    Answer, AuditStore, ListedHead, Sign, StoredCheckpoint, StoredRecord, TrailRange,
};
use crate::application::ports::signer::Signed;

/// [`AuditStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgAuditStore {
    pool: PgPool,
}

impl PgAuditStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

/// Fills a [`StoredRecord`] from either query's record.
macro_rules! stored_record {
    ($row:expr) => {
        Ok(StoredRecord {
            chain_id: $row.chain_id,
            seq: unsigned($row.seq),
            occurred_at: $row.occurred_at,
            actor_id: PrincipalId($row.actor_id),
            action: $row.action,
            outcome: $row.outcome,
            canonical: $row.canonical,
            prev_hash: hash32($row.prev_hash)?,
            hash: hash32($row.hash)?,
        })
    };
}

#[async_trait]
impl AuditStore for PgAuditStore {
    async fn trail(
        &self,
        tenant: TenantId,
        chain: Uuid,
        range: TrailRange,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT chain_id, seq, occurred_at, actor_id, action, outcome, record::text AS "canonical!", prev_hash, hash
             FROM docket.audit_events
             WHERE (SELECT ready FROM context) AND chain_id = $2 AND seq > $3
               AND ($4::timestamptz IS NULL OR occurred_at >= $4) AND ($5::timestamptz IS NULL OR occurred_at < $5)
             ORDER BY seq LIMIT $6"#,
            tenant.to_string(),
            chain,
            signed(range.after_seq),
            range.from,
            range.to,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(|row| stored_record!(row)).collect()
    }

    async fn chains(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError> {
        sqlx::query_file_scalar!(
            "src/adapters/postgres/sql/audit_chains.sql",
            tenant.to_string(),
            after,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)
    }

    async fn records(
        &self,
        tenant: TenantId,
        chains: &[Uuid],
        after: (Uuid, u64),
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT chain_id, seq, occurred_at, actor_id, action, outcome, record::text AS "canonical!", prev_hash, hash
             FROM docket.audit_events
             WHERE (SELECT ready FROM context) AND chain_id = ANY($2) AND (chain_id, seq) > ($3, $4)
             ORDER BY chain_id, seq LIMIT $5"#,
            tenant.to_string(),
            chains,
            after.0,
            signed(after.1),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter().map(|row| stored_record!(row)).collect()
    }

    async fn heads(&self, tenant: TenantId, chains: &[Uuid]) -> Result<Vec<(Uuid, ChainHead)>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id AS "id!", audit_seq AS "seq!", audit_head AS "hash!" FROM docket.cases
             WHERE (SELECT ready FROM context) AND id = ANY($2)
             UNION ALL
             SELECT id, audit_seq, audit_head FROM docket.tenants
             WHERE (SELECT ready FROM context) AND id = $1::text::uuid AND id = ANY($2)"#,
            tenant.to_string(),
            chains
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| Ok((row.id, ChainHead { seq: unsigned(row.seq), hash: hash32(row.hash)? })))
            .collect()
    }

    async fn checkpoint(
        &self,
        tenant: TenantId,
        now: OffsetDateTime,
        sign: Sign<'_>,
        answer: Answer<'_>,
    ) -> Result<Option<StoredCheckpoint>, StoreError> {
        match self.make_checkpoint(tenant, now, sign, answer).await {
            // Another checkpoint, or another request with the same key, was faster: the caller looks again.
            Err(error)
                if matches!(broken_constraint(&error), Some("audit_checkpoints_pkey" | "idempotency_keys_pkey")) =>
            {
                Ok(None)
            }
            Err(error) => Err(store_error(error)),
            Ok(made) => Ok(made),
        }
    }

    async fn checkpoints(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT number, heads, heads_digest, previous, public_key, signature, created_at
             FROM docket.audit_checkpoints WHERE (SELECT ready FROM context) AND number > $2 ORDER BY number LIMIT $3",
            tenant.to_string(),
            signed(after),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let short = |_| StoreError::internal("a stored signature does not have 64 bytes");
                Ok(StoredCheckpoint {
                    statement: CheckpointStatement {
                        tenant_id: tenant,
                        number: unsigned(row.number),
                        heads: unsigned(row.heads),
                        heads_digest: hash32(row.heads_digest)?,
                        previous: hash32(row.previous)?,
                        created_at: row.created_at,
                    },
                    signed: Signed {
                        public_key: hash32(row.public_key)?,
                        signature: row.signature.try_into().map_err(short)?,
                    },
                })
            })
            .collect()
    }

    async fn listed_heads(
        &self,
        tenant: TenantId,
        number: u64,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ListedHead>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT h.chain_id, h.seq, h.hash, e.hash AS "present?"
             FROM docket.audit_checkpoint_heads h
             LEFT JOIN docket.audit_events e ON e.tenant_id = h.tenant_id AND e.chain_id = h.chain_id AND e.seq = h.seq
             WHERE (SELECT ready FROM context) AND h.number = $2 AND ($3::uuid IS NULL OR h.chain_id > $3)
             ORDER BY h.chain_id LIMIT $4"#,
            tenant.to_string(),
            signed(number),
            after,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let head = ChainHead { seq: unsigned(row.seq), hash: hash32(row.hash)? };
                Ok(ListedHead { chain_id: row.chain_id, head, present: row.present.map(hash32).transpose()? })
            })
            .collect()
    }
}

impl PgAuditStore {
    /// One transaction under one snapshot: the heads are read once to be digested and once more to be listed, and are
    /// the same both times.
    async fn make_checkpoint(
        &self,
        tenant: TenantId,
        now: OffsetDateTime,
        sign: Sign<'_>,
        answer: Answer<'_>,
    ) -> Result<Option<StoredCheckpoint>, sqlx::Error> {
        let mut transaction = begin_with(&self.pool, "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned()).await?;
        let free = sqlx::query_scalar!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) AS tenant)
             SELECT pg_try_advisory_xact_lock(hashtextextended('checkpoint' || tenant, 0)) AS "free!" FROM context"#,
            tenant.to_string()
        )
        .fetch_one(&mut *transaction)
        .await?;
        if !free {
            transaction.rollback().await?;
            return Ok(None);
        }
        let statement = draft_statement(&mut transaction, tenant, now).await?;
        let made = StoredCheckpoint { statement, signed: sign(&statement) };
        sqlx::query!(
            "INSERT INTO docket.audit_checkpoints
                 (tenant_id, number, heads, heads_digest, previous, public_key, signature, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tenant.0,
            signed(statement.number),
            signed(statement.heads),
            &statement.heads_digest[..],
            &statement.previous[..],
            &made.signed.public_key[..],
            &made.signed.signature[..],
            now
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query_file!("src/adapters/postgres/sql/list_moved_heads.sql", tenant.0, signed(statement.number))
            .execute(&mut *transaction)
            .await?;
        if let Some(answer) = answer(&made) {
            remember(&mut transaction, tenant, &answer, now).await?;
        }
        transaction.commit().await?;
        Ok(Some(made))
    }
}

/// The next statement: the heads that moved, digested in order, and the link to the checkpoint before.
async fn draft_statement(
    transaction: &mut Transaction<'_, Postgres>,
    tenant: TenantId,
    now: OffsetDateTime,
) -> Result<CheckpointStatement, sqlx::Error> {
    let last = sqlx::query!(
        "SELECT number, heads, heads_digest, previous, created_at FROM docket.audit_checkpoints
         WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1",
        tenant.0
    )
    .fetch_optional(&mut **transaction)
    .await?;
    let (number, previous) = match last {
        None => (1, [0; 32]),
        Some(row) => {
            let statement = CheckpointStatement {
                tenant_id: tenant,
                number: unsigned(row.number),
                heads: unsigned(row.heads),
                heads_digest: bytes32(row.heads_digest)?,
                previous: bytes32(row.previous)?,
                created_at: row.created_at,
            };
            (statement.number + 1, statement.digest())
        }
    };
    let mut digest = HeadsDigest::default();
    let mut moved = sqlx::query_file!("src/adapters/postgres/sql/moved_heads.sql", tenant.0).fetch(&mut **transaction);
    while let Some(row) = moved.try_next().await? {
        digest.add(row.chain_id, ChainHead { seq: unsigned(row.seq), hash: bytes32(row.hash)? });
    }
    drop(moved);
    let (heads_digest, heads) = digest.finish();
    Ok(CheckpointStatement { tenant_id: tenant, number, heads, heads_digest, previous, created_at: now })
}

fn bytes32(bytes: Vec<u8>) -> Result<[u8; 32], sqlx::Error> {
    bytes.try_into().map_err(|_| sqlx::Error::Decode("a stored hash does not have 32 bytes".into()))
}
