//! The port for the audit trail: reading records and heads, keeping checkpoints.

use async_trait::async_trait;
use docket_domain::audit::ChainHead;
use docket_domain::audit::checkpoint::CheckpointStatement;
use docket_domain::ids::{PrincipalId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::case_store::AnswerToStore;
use super::signer::Signed;

/// One record as stored: the canonical form that was hashed, and the columns that repeat members of it.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// The chain.
    pub chain_id: Uuid,
    /// Position in the chain.
    pub seq: u64,
    /// When, as the column says.
    pub occurred_at: OffsetDateTime,
    /// Who, as the column says.
    pub actor_id: PrincipalId,
    /// What, as the column says.
    pub action: String,
    /// How it ended, as the column says.
    pub outcome: String,
    /// The canonical JSON (RFC 8785), to the letter.
    pub canonical: String,
    /// The hash of the record before.
    pub prev_hash: [u8; 32],
    /// Its own hash.
    pub hash: [u8; 32],
}

/// What part of a chain to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrailRange {
    /// Occurred at or after.
    pub from: Option<OffsetDateTime>,
    /// Occurred before.
    pub to: Option<OffsetDateTime>,
    /// Only records after this position; 0 for all.
    pub after_seq: u64,
}

/// A checkpoint as stored.
#[derive(Debug, Clone)]
pub struct StoredCheckpoint {
    /// What was signed.
    pub statement: CheckpointStatement,
    /// The signature and the key that made it.
    pub signed: Signed,
}

/// A head that a checkpoint lists, and the hash that stands at its place in the trail now.
#[derive(Debug, Clone, Copy)]
pub struct ListedHead {
    /// The chain.
    pub chain_id: Uuid,
    /// The head as listed.
    pub head: ChainHead,
    /// The hash of that record in the trail; none when the record is gone.
    pub present: Option<[u8; 32]>,
}

/// Signs a statement; pure computation, so that it may stand inside the transaction.
pub type Sign<'a> = &'a (dyn Fn(&CheckpointStatement) -> Signed + Send + Sync);

/// The answer to remember under the client's key, if it sent one.
pub type Answer<'a> = &'a (dyn Fn(&StoredCheckpoint) -> Option<AnswerToStore> + Send + Sync);

/// Reads the audit trail and keeps checkpoints over it. Records are written by the stores whose acts they record.
///
/// Contract: every method sees only the given tenant; lists are in ascending order of (chain id, seq) or of number, so
/// that they can be walked in pages of bounded size. `checkpoint` lists exactly the heads that no earlier checkpoint
/// lists, in one consistent view, and is atomic.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Records of one chain, oldest first.
    async fn trail(
        &self,
        tenant: TenantId,
        chain: Uuid,
        range: TrailRange,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError>;
    /// The ids of chains after `after`: those of cases (with or without records) and those that only have records.
    async fn chains(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Uuid>, StoreError>;
    /// Records of several chains after a position.
    async fn records(
        &self,
        tenant: TenantId,
        chains: &[Uuid],
        after: (Uuid, u64),
        limit: u32,
    ) -> Result<Vec<StoredRecord>, StoreError>;
    /// The heads that cases (or the tenant itself) keep of their chains; a chain whose case is gone has none.
    async fn heads(&self, tenant: TenantId, chains: &[Uuid]) -> Result<Vec<(Uuid, ChainHead)>, StoreError>;
    /// Makes the next checkpoint and stores the answer with it; none when another one was made meanwhile: begin again.
    async fn checkpoint(
        &self,
        tenant: TenantId,
        now: OffsetDateTime,
        sign: Sign<'_>,
        answer: Answer<'_>,
    ) -> Result<Option<StoredCheckpoint>, StoreError>;
    /// Checkpoints after a number.
    async fn checkpoints(&self, tenant: TenantId, after: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError>;
    /// The heads that a checkpoint lists, after a chain.
    async fn listed_heads(
        &self,
        tenant: TenantId,
        number: u64,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ListedHead>, StoreError>;
}
