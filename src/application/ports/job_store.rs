//! The port for jobs of one tenant: enqueue, look up, list. Ending them by hand is an administrative act
//! ([`super::tenancy_store::Effect`]); working on them is [`super::job_queue`].

use async_trait::async_trait;
use docket_domain::ids::{JobId, PrincipalId, TenantId};
use docket_domain::job::{JobKind, JobState, Priority};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::StoreError;

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id, a fresh UUIDv7.
    pub id: JobId,
    /// For whom.
    pub tenant_id: TenantId,
    /// What sort of work.
    pub kind: JobKind,
    /// What the handler needs to know: identifiers rather than content.
    pub payload: Value,
    /// How urgent.
    pub priority: Priority,
    /// Not before this; none means at once. The past counts as now.
    pub run_at: Option<OffsetDateTime>,
    /// While a job of this kind with the same key waits or runs, this one is not enqueued; 1 to 255 characters.
    pub unique_key: Option<String>,
    /// Who asks.
    pub requested_by: PrincipalId,
    /// The trace that the job goes on with.
    pub traceparent: Option<String>,
}

/// A job as one looks at it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Job {
    /// Identifier.
    pub id: JobId,
    /// For whom; the nil UUID for the platform.
    pub tenant_id: TenantId,
    /// What sort of work.
    pub kind: JobKind,
    /// Where it stands.
    pub state: JobState,
    /// How urgent.
    pub priority: Priority,
    /// What the handler was given.
    pub payload: Value,
    /// How often it was begun.
    pub attempt: u32,
    /// When it is or was due.
    #[serde(with = "time::serde::rfc3339::option")]
    pub run_at: Option<OffsetDateTime>,
    /// The key under which it is alone.
    pub unique_key: Option<String>,
    /// How far it is, in percent.
    pub progress: Option<u8>,
    /// Whether somebody asked for its end while it runs.
    pub cancel_requested: bool,
    /// What it gave.
    pub result: Option<Value>,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// Who asked for it; the nil UUID is docket itself.
    pub requested_by: PrincipalId,
    /// When it was enqueued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last taken by a worker.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

/// Which jobs a list holds.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// In one of these states; empty means any.
    pub states: Vec<JobState>,
    /// Of this kind.
    pub kind: Option<JobKind>,
}

/// Jobs of one tenant at a time.
///
/// Contract: every method sees only the given tenant's jobs. `enqueue` is all or nothing and durable when it returns; ids of
/// jobs that were not enqueued because of their unique key are missing in what it returns. Lists are newest first. To add
/// an implementation: pass `tests/jobs/queue_contract.rs`.
#[async_trait]
pub trait JobStore: Send + Sync + 'static {
    /// Enqueues jobs of one tenant; which of them are new.
    async fn enqueue(&self, tenant: TenantId, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError>;
    /// A job, whether it waits, runs or has ended (and is kept).
    async fn get(&self, tenant: TenantId, id: JobId) -> Result<Option<Job>, StoreError>;
    /// The job of this kind that waits or runs under a unique key.
    async fn holder(&self, tenant: TenantId, kind: &JobKind, unique_key: &str) -> Result<Option<Job>, StoreError>;
    /// Jobs older than `before`, newest first, at most `limit`.
    async fn list(
        &self,
        tenant: TenantId,
        filter: &JobFilter,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError>;
    /// How many dead letters of a kind there are, counting to `cap`.
    async fn dead(&self, tenant: TenantId, kind: &JobKind, cap: u32) -> Result<u64, StoreError>;
}
