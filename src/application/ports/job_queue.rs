//! The port through which a worker takes jobs, keeps them and ends them, across all tenants.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::{PrincipalId, TenantId, WorkerId};
use docket_domain::job::low_water::Position;
use docket_domain::job::{JobLease, LeaseTerms};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;

/// Lanes of a kind: what was given back (0), then one for each priority (1 to 4).
pub const LANES: usize = 5;

/// What a worker can take of one kind.
#[derive(Debug, Clone)]
pub struct ClaimSlot {
    /// The kind.
    pub kind: &'static str,
    /// How many at most; at least 1.
    pub wanted: u32,
    /// For each lane, the position before which nothing waits.
    pub from: [Position; LANES],
}

/// A job in the hands of a worker.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The right to end it.
    pub lease: JobLease,
    /// Its kind.
    pub kind: String,
    /// Text of a JSON value.
    pub payload: String,
    /// The lane it stood in.
    pub lane: i16,
    /// Since when it was due, by the database's clock.
    pub run_at: OffsetDateTime,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Who asked for it.
    pub requested_by: PrincipalId,
    /// The trace of whoever asked.
    pub traceparent: Option<String>,
    /// How long it waited after it was due.
    pub waited: Duration,
}

/// How a job ends other than without a trace.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Well, with a result to keep.
    Succeeded(Option<Value>),
    /// Not yet: again after a delay.
    Retry {
        /// How long to wait, by the database's clock.
        delay: Duration,
        /// Why it failed.
        error: String,
    },
    /// Not yet, and the attempt does not count: what the job needs is down.
    Postponed {
        /// How long to wait, by the database's clock.
        delay: Duration,
        /// What is down.
        error: String,
    },
    /// Not at all: kept as a dead letter.
    Dead {
        /// Why it failed.
        error: String,
    },
    /// Because somebody asked for it.
    Cancelled,
}

/// What waits of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The kind.
    pub kind: String,
    /// Jobs that wait, also for their time to come; counted up to a bound.
    pub waiting: u64,
    /// How long the oldest has been due; zero when none is.
    pub oldest: Duration,
    /// Dead letters, counted up to a bound.
    pub dead: u64,
}

/// Jobs to be enqueued when a schedule's time has come.
#[derive(Debug, Clone)]
pub struct Tick<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// The instant that has come.
    pub at: OffsetDateTime,
    /// The kind of the jobs.
    pub kind: &'a str,
    /// Their payload.
    pub payload: &'a Value,
    /// For whom, with an id for each job.
    pub jobs: &'a [(TenantId, Uuid)],
}

/// Why a worker did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The worker was given up: others have its jobs.
    #[error("this worker's lease ended, others have its jobs")]
    LeaseLost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The queue as a worker sees it.
///
/// Contract: time is the database's everywhere; no method takes an instant of the caller's clock as "now". `claim` gives a
/// job to one worker only, commits before it returns, and never waits for another worker. `complete` and `settle` act on
/// exactly those jobs whose token is still the latest, and say how many that were; they are durable when they return. A
/// worker's lease covers all it holds; `heartbeat` renews it. To add an implementation: pass `tests/jobs/queue_contract.rs`.
#[async_trait]
pub trait JobQueue: Send + Sync + 'static {
    /// Announces a worker, whose lease begins.
    async fn register(&self, worker: WorkerId, name: &str, terms: LeaseTerms) -> Result<(), StoreError>;
    /// Takes due jobs: best lane first, oldest first in a lane.
    async fn claim(&self, worker: WorkerId, slots: &[ClaimSlot]) -> Result<Vec<ClaimedJob>, QueueError>;
    /// Ends jobs without a trace; how many of them were the caller's to end.
    async fn complete(&self, jobs: &[JobLease]) -> Result<u64, StoreError>;
    /// Ends jobs otherwise; how many of them were the caller's to end.
    async fn settle(&self, jobs: &[(JobLease, Settlement)]) -> Result<u64, StoreError>;
    /// Renews the lease; those of the worker's jobs that somebody wants cancelled.
    async fn heartbeat(&self, worker: WorkerId, terms: LeaseTerms) -> Result<Vec<JobLease>, QueueError>;
    /// Gives up workers whose lease has ended; how many jobs wait again for that.
    async fn reap(&self) -> Result<u64, StoreError>;
    /// Hands back everything the worker holds and forgets the worker; how many jobs that were.
    async fn retire(&self, worker: WorkerId) -> Result<u64, StoreError>;
    /// Hands back what the worker holds beside the jobs it knows of, as [`JobQueue::retire`] does with everything; how many
    /// jobs that were. For a worker that did not hear the answer of a claim, which may have taken jobs nevertheless.
    async fn release_unknown(&self, worker: WorkerId, known: &[JobLease]) -> Result<u64, QueueError>;
    /// Shows how far a job is, in percent; false when it is not the caller's any more. May be lost in a crash.
    async fn progress(&self, job: JobLease, percent: u8) -> Result<bool, StoreError>;
    /// What waits of these kinds, counting up to `cap` of each.
    async fn depths(&self, kinds: &[&str], cap: u32) -> Result<Vec<Depth>, StoreError>;
    /// The database's clock.
    async fn now(&self) -> Result<OffsetDateTime, StoreError>;
    /// The last tick of a schedule; a schedule seen for the first time begins now.
    async fn last_tick(&self, schedule: &str) -> Result<OffsetDateTime, StoreError>;
    /// Enqueues a tick's jobs unless another process did; how many were enqueued.
    async fn fire(&self, tick: Tick<'_>) -> Result<u64, StoreError>;
    /// Every tenant that is not suspended.
    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError>;
    /// Waits until somebody hints that there are new jobs, or the connection that listens is lost; false for the latter.
    async fn hint(&self) -> bool;
}
