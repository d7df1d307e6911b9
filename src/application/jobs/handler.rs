//! What a kind of job is: its handler, its limits, and what the handler is given.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::job::{JobLease, RetryPolicy};
use docket_domain::principal::{Actor, Roles};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::application::error::UseCaseError;
use crate::application::ports::{JobQueue, StoreError};
use crate::application::request::Caller;

/// The limits of a kind of job.
#[derive(Debug, Clone, Copy)]
pub struct KindSpec {
    /// The name; see [`docket_domain::job::JobKind`].
    pub kind: &'static str,
    /// What it does, in one sentence for people.
    pub about: &'static str,
    /// How many run at once in one worker; at least 1.
    pub concurrency: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How it is tried again.
    pub retry: RetryPolicy,
    /// Whether a job that ended well is kept with its result.
    pub keeps_results: bool,
    /// The roles that may enqueue it by hand, in their own tenant; none for kinds that only docket enqueues.
    pub enqueued_by: Roles,
}

impl KindSpec {
    /// A kind with usual limits: four at once, five minutes, eight attempts, no results, enqueued by docket alone.
    pub const fn new(kind: &'static str, about: &'static str) -> Self {
        let retry = RetryPolicy { max_attempts: 8, base: Duration::from_secs(10), cap: Duration::from_mins(30) };
        let (timeout, enqueued_by) = (Duration::from_mins(5), Roles::NONE);
        Self { kind, about, concurrency: 4, timeout, retry, keeps_results: false, enqueued_by }
    }
}

/// How an attempt ended well.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Done: the job leaves no trace.
    Done,
    /// Done, with a result: the job is kept with it, where the kind keeps results. One that cannot be kept (more than
    /// [`RESULT_MAX`](super::job_result::RESULT_MAX) bytes, nested too deeply, U+0000 in a text) ends the job as dead.
    DoneWith(Value),
    /// Done, and the job's end was committed in the transaction of its effect: nothing is left to say.
    Committed,
}

/// How an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It may succeed later; `after` is the least time to wait, when somebody said so.
    #[error("{reason}")]
    Retry {
        /// What went wrong.
        reason: String,
        /// The least time to wait.
        after: Option<Duration>,
    },
    /// What it needs is down: again after a while, as often as it takes, and the attempt does not count.
    #[error("{reason}")]
    Postponed {
        /// What is down.
        reason: String,
        /// The least time to wait.
        after: Duration,
    },
    /// It would fail again: no further attempt.
    #[error("{0}")]
    Fatal(String),
    /// It stopped because it was asked to.
    #[error("cancelled")]
    Cancelled,
    /// Another worker has the job by now: what this one did was undone.
    #[error("another worker has this job by now")]
    LeaseLost,
}

impl JobError {
    /// A failure that may pass.
    pub fn retry(reason: impl std::fmt::Display) -> Self {
        Self::Retry { reason: reason.to_string(), after: None }
    }
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        // The cause is for the log; the sentence is what people see beside the job.
        tracing::warn!(error = std::error::Error::source(&error).map(ToString::to_string), "{error}");
        Self::retry(error)
    }
}

impl From<UseCaseError> for JobError {
    /// What may pass is tried again; what the domain refused would be refused again.
    fn from(error: UseCaseError) -> Self {
        match error {
            UseCaseError::Store(cause) => cause.into(),
            UseCaseError::LeaseLost => Self::LeaseLost,
            UseCaseError::Contention | UseCaseError::KeyInFlight | UseCaseError::SourcesGone => Self::retry(error),
            UseCaseError::RateLimited { retry_after_seconds } => {
                Self::Retry { reason: error.to_string(), after: Some(Duration::from_secs(retry_after_seconds)) }
            }
            other => Self::Fatal(other.to_string()),
        }
    }
}

/// What a handler is given beside the payload.
#[derive(Clone)]
pub struct JobContext {
    /// The right to end the job: hand it to a write, and the job ends in the transaction of that write.
    pub lease: JobLease,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Who asked for the job.
    pub requested_by: PrincipalId,
    /// Cancelled when somebody wants the job ended or the worker must stop: finish early with [`JobError::Cancelled`].
    pub cancelled: CancellationToken,
    /// Under which names the work is found in logs, traces and the audit trail.
    pub request_id: String,
    /// The trace, 32 hexadecimal digits.
    pub trace_id: String,
    /// What whoever reacts goes on with.
    pub traceparent: Option<String>,
    pub(crate) queue: Arc<dyn JobQueue>,
}

impl JobContext {
    /// The tenant for which the job is.
    pub fn tenant_id(&self) -> TenantId {
        self.lease.tenant_id
    }

    /// Shows how far the job is, in percent.
    pub async fn progress(&self, percent: u8) -> Result<(), JobError> {
        if self.queue.progress(self.lease, percent).await? { Ok(()) } else { Err(JobError::LeaseLost) }
    }

    /// Fails when the job should end early; ask between steps.
    pub fn go_on(&self) -> Result<(), JobError> {
        if self.cancelled.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }

    /// docket itself, acting in the job's tenant on behalf of whoever asked for the job.
    pub fn caller(&self) -> Caller {
        let nobody = self.requested_by == PrincipalId::SYSTEM;
        Caller {
            actor: Actor {
                on_behalf_of: (!nobody).then_some(self.requested_by),
                ..Actor::system(self.lease.tenant_id)
            },
            request_id: self.request_id.clone(),
            trace_id: self.trace_id.clone(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// Does the work of one kind of job.
///
/// Contract: delivery is at least once. `run` may be called again for a job that it did before, and, when a worker was
/// silent for longer than its lease, at the same time elsewhere. So an effect in the database goes into the transaction
/// that ends the job ([`Outcome::Committed`]), which makes it happen once; an effect elsewhere carries the job's id as its
/// idempotency key. `run` may be dropped at any await, returns soon after `context.cancelled`, and may panic: that is a
/// failed attempt. Input that can never be worked on is [`JobError::Fatal`].
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// The kind and its limits; always the same.
    fn spec(&self) -> KindSpec;

    /// What is wrong with a payload, in a few words; asked when a job is enqueued by hand and before it is run.
    fn check(&self, payload: &Value) -> Result<(), String> {
        let _ = payload;
        Ok(())
    }

    /// Does the work.
    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError>;
}
