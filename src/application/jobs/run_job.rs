//! Run a job: one attempt of one job by its handler, under its timeout, and what becomes of the job then.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use docket_domain::job::{RetryPolicy, Verdict};
use futures::FutureExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use super::job_result::{discard, storable};
use crate::application::ports::JobQueue;
use crate::application::ports::job_queue::{ClaimedJob, Settlement};
use crate::telemetry::{RequestContext, SpanId, adopt, mark_failed, scope};

/// The longest error that is kept beside a job, in characters.
const ERROR_MAX: usize = 2_000;

/// What becomes of a job after an attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// It ends without a trace.
    Complete,
    /// It ends, or waits again, as told.
    Settle(Settlement),
    /// Nothing is left to say: the handler ended it, or lost it.
    Nothing,
}

impl Ended {
    /// The word for metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Complete | Self::Settle(Settlement::Succeeded(_)) => "succeeded",
            Self::Settle(Settlement::Retry { .. }) => "retried",
            Self::Settle(Settlement::Postponed { .. }) => "postponed",
            Self::Settle(Settlement::Dead { .. }) => "dead",
            Self::Settle(Settlement::Cancelled) => "cancelled",
            Self::Nothing => "committed",
        }
    }
}

/// Runs one attempt. Never panics and never takes longer than the kind's timeout.
pub async fn run_job(
    handler: &Arc<dyn JobHandler>,
    queue: &Arc<dyn JobQueue>,
    job: ClaimedJob,
    cancelled: CancellationToken,
    random: u64,
) -> Ended {
    let spec = handler.spec();
    if !spec.retry.may_begin(job.attempt) {
        let begun = job.attempt - 1;
        let error = format!("begun {begun} times and never ended: its worker died or hung each time");
        return Ended::Settle(Settlement::Dead { error });
    }
    let span = tracing::info_span!("job", otel.kind = "consumer", kind = spec.kind, attempt = job.attempt,);
    let place = adopt(&span, job.traceparent.as_deref().and_then(SpanId::parse));
    let request = Arc::new(RequestContext::new(job.lease.job_id.to_string(), place));
    let context = JobContext {
        lease: job.lease,
        attempt: job.attempt,
        requested_by: job.requested_by,
        cancelled,
        request_id: request.request_id.clone(),
        trace_id: request.trace_id.clone(),
        traceparent: request.traceparent.clone(),
        queue: queue.clone(),
    };
    let work = attempt(handler, &spec, &context, &job.payload).instrument(span.clone());
    let result = scope(request, AssertUnwindSafe(work).catch_unwind()).await;
    // The panic itself was logged where it happened.
    let result = result.unwrap_or_else(|_| Err(JobError::retry("the handler panicked; see the log")));
    match &result {
        Err(JobError::Fatal(_)) => mark_failed(&span, "fatal"),
        Err(JobError::Retry { .. }) => mark_failed(&span, "retry"),
        _ => {}
    }
    judge(&spec, job.attempt, result, random)
}

async fn attempt(
    handler: &Arc<dyn JobHandler>,
    spec: &KindSpec,
    context: &JobContext,
    payload: &str,
) -> Result<Outcome, JobError> {
    let payload: Value =
        serde_json::from_str(payload).map_err(|error| JobError::Fatal(format!("the payload is not JSON: {error}")))?;
    handler.check(&payload).map_err(|error| JobError::Fatal(format!("the payload cannot be worked on: {error}")))?;
    match tokio::time::timeout(spec.timeout, handler.run(context, &payload)).await {
        Ok(result) => result,
        Err(_) => Err(JobError::retry(format!("not done within {} s", spec.timeout.as_secs_f64()))),
    }
}

fn judge(spec: &KindSpec, attempt: u32, result: Result<Outcome, JobError>, random: u64) -> Ended {
    match result {
        Ok(Outcome::Committed) | Err(JobError::LeaseLost) => Ended::Nothing,
        Ok(Outcome::DoneWith(result)) if spec.keeps_results => Ended::Settle(match storable(result) {
            Ok(result) => Settlement::Succeeded(Some(result)),
            // It would return the same again, and its effects have happened.
            Err(error) => Settlement::Dead { error },
        }),
        Ok(Outcome::DoneWith(result)) => {
            discard(result);
            Ended::Complete
        }
        Ok(Outcome::Done) => Ended::Complete,
        Err(JobError::Cancelled) => Ended::Settle(Settlement::Cancelled),
        Err(JobError::Postponed { reason, after }) => {
            // What waited together for the same thing does not come back together.
            let delay = after.saturating_add(spec.retry.delay(1, random));
            Ended::Settle(Settlement::Postponed { delay, error: bounded(&reason) })
        }
        Err(JobError::Fatal(reason)) => failed(&spec.retry, attempt, false, None, &reason, random),
        Err(JobError::Retry { reason, after }) => failed(&spec.retry, attempt, true, after, &reason, random),
    }
}

fn failed(
    policy: &RetryPolicy,
    attempt: u32,
    worth_a_try: bool,
    after: Option<Duration>,
    reason: &str,
    random: u64,
) -> Ended {
    let error = bounded(reason);
    Ended::Settle(match policy.judge(attempt, worth_a_try, after, random) {
        Verdict::Retry(delay) => Settlement::Retry { delay, error },
        Verdict::Dead => Settlement::Dead { error },
    })
}

/// What is kept of an error; U+0000 cannot be stored.
fn bounded(reason: &str) -> String {
    reason.chars().filter(|character| *character != '\0').take(ERROR_MAX).collect()
}
