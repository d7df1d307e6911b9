//! The port for moving cases in bulk: batches in with the progress of their run, pages out.

use async_trait::async_trait;
use docket_domain::case::{Case, State};
use docket_domain::ids::{CaseId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::case_store::{CaseWrite, StoredCase};

/// What is imported and how: another file or another plan is another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKey {
    /// SHA-256 of the file's bytes.
    pub file_sha256: [u8; 32],
    /// SHA-256 over mapping, format and encoding.
    pub plan_sha256: [u8; 32],
    /// The name of the file, for people.
    pub file_name: String,
}

/// How far a run has got, and what became of the rows so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything before this byte of the file is settled.
    pub bytes_done: u64,
    /// The line of the last settled row.
    pub lines_done: u64,
    /// The length of the file of rejected rows.
    pub errors_bytes: u64,
    /// New cases.
    pub imported: u64,
    /// Cases whose content the file changed.
    pub updated: u64,
    /// Cases that were there with the same content.
    pub unchanged: u64,
    /// Cases that were there with other content and were left alone.
    pub skipped: u64,
    /// Rows that were not taken in.
    pub rejected: u64,
}

/// A run that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// Where it stands: all zero for a new one.
    pub progress: Progress,
}

/// What a batch writes.
#[derive(Debug)]
pub struct BatchWrite<'a> {
    /// The tenant of all of it.
    pub tenant_id: TenantId,
    /// New cases ([`super::case_store::RowChange::Insert`]).
    pub inserts: &'a [CaseWrite],
    /// Changed cases.
    pub updates: &'a [CaseWrite],
}

/// How a run moves when a batch is committed.
#[derive(Debug)]
pub struct RunStep {
    /// The run.
    pub run_id: Uuid,
    /// Where the run stood before; a run that stands elsewhere by now is another process's.
    pub before: Progress,
    /// Where it stands with this batch.
    pub after: Progress,
    /// The time of the batch.
    pub now: OffsetDateTime,
    /// Whether the run ends with this batch.
    pub finished: bool,
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchCommit {
    /// All of it is durable.
    Done,
    /// Another process moved the same run; nothing of the batch is left.
    RunTaken,
}

/// A batch that is written and not yet committed: nobody sees it, and dropped it leaves nothing behind.
#[async_trait]
pub trait StagedBatch: Send {
    /// Moves the run and commits the batch with it, as a whole or not at all.
    async fn commit(self: Box<Self>, step: &RunStep) -> Result<BatchCommit, StoreError>;
}

/// Moves cases in bulk.
///
/// Contract: every method sees only the given tenant. [`StagedBatch::commit`] is atomic and durable when it returns `Done`:
/// cases, audit records, events and the run's progress together. Several batches may be staged at once, and are committed in
/// any order. `page` returns cases in the order of their ids, after `after`, and an
/// empty page only at the end. To add an implementation: run `tests/bulk` with it.
#[async_trait]
pub trait BulkStore: Send + Sync + 'static {
    /// The tenant of this name.
    async fn tenant_named(&self, name: &str) -> Result<Option<TenantId>, StoreError>;

    /// The unfinished run of this key if `resume` is set and there is one, else a new run under `fresh`. An unfinished run
    /// that is not resumed ends here.
    async fn open_run(
        &self,
        tenant: TenantId,
        key: &RunKey,
        fresh: Uuid,
        resume: bool,
        now: OffsetDateTime,
    ) -> Result<Run, StoreError>;

    /// The cases that have one of these references, in any order.
    async fn by_reference(&self, tenant: TenantId, references: &[String]) -> Result<Vec<StoredCase>, StoreError>;

    /// Writes one batch up to its commit. None if somebody changed or created one of its cases in the meantime: look again.
    async fn stage(&self, batch: &BatchWrite<'_>) -> Result<Option<Box<dyn StagedBatch>>, StoreError>;

    /// Lets the store count its cases, so that it finds the next ones by their references quickly. Worth it when the number of
    /// a tenant's cases has grown many times over; changes nothing that anybody can see.
    async fn refresh_statistics(&self) -> Result<(), StoreError>;

    /// Up to `limit` cases in one of `states` (all states when empty), by id, after the given one.
    async fn page(
        &self,
        tenant: TenantId,
        states: &[State],
        after: Option<CaseId>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError>;
}
