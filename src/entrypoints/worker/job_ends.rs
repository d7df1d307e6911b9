//! Ends of jobs on their way to the database, in batches.

use std::sync::Arc;

use docket_domain::job::JobLease;

use crate::application::ports::job_queue::Settlement;
use crate::application::ports::{JobQueue, StoreError};
use crate::telemetry::jobs::JOBS_FENCED;

/// Ends that go to the database at once.
pub const BATCH: usize = 2_000;
/// The longest cause that is kept beside a job whose end could not be written, in characters.
const CAUSE_MAX: usize = 500;

/// Ends that are not durable yet.
#[derive(Debug, Default)]
pub struct Ends {
    /// Without a trace.
    pub complete: Vec<JobLease>,
    /// Otherwise.
    pub settle: Vec<(JobLease, Settlement)>,
}

impl Ends {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.complete.is_empty() && self.settle.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.complete.len() + self.settle.len()
    }

    /// Takes as many as go at once.
    pub fn take_batch(&mut self) -> Self {
        let complete = self.complete.drain(..self.complete.len().min(BATCH)).collect();
        Self { complete, settle: self.settle.drain(..self.settle.len().min(BATCH)).collect() }
    }

    /// Takes back what was not written.
    pub fn give_back(&mut self, mut batch: Self) {
        self.complete.append(&mut batch.complete);
        self.settle.append(&mut batch.settle);
    }

    /// Writes them; what is durable then, while the rest stays here because the database failed.
    pub async fn write(&mut self, queue: &Arc<dyn JobQueue>) -> Vec<JobLease> {
        let mut written = Vec::new();
        if !self.complete.is_empty()
            && let Some(count) = ok(queue.complete(&self.complete).await)
        {
            note_fenced(self.complete.len(), count);
            written.append(&mut self.complete);
        }
        if self.settle.is_empty() {
            return written;
        }
        match queue.settle(&self.settle).await {
            Ok(count) => {
                note_fenced(self.settle.len(), count);
                written.extend(self.settle.drain(..).map(|(lease, _)| lease));
            }
            // The database is there and refuses: perhaps one of them only, which must not keep the others.
            Err(error @ StoreError::Internal(_)) => {
                warn(&error);
                self.settle_one_by_one(queue, &mut written).await;
            }
            Err(error) => warn(&error),
        }
        written
    }

    /// Settles each alone. One that is refused ends as a dead letter with the reason: its handler would come to the same end
    /// again. Where not even that can be written the fault is not the job's, and it stays with all that follow.
    async fn settle_one_by_one(&mut self, queue: &Arc<dyn JobQueue>, written: &mut Vec<JobLease>) {
        while let Some(end) = self.settle.last().cloned() {
            let lease = end.0;
            let settled = match queue.settle(&[end]).await {
                Err(StoreError::Internal(cause)) => {
                    let cause: String = cause.to_string().replace('\0', "").chars().take(CAUSE_MAX).collect();
                    let error = format!("its end could not be written: {cause}");
                    tracing::error!(job = %lease.job_id, error, "a job becomes a dead letter");
                    queue.settle(&[(lease, Settlement::Dead { error })]).await
                }
                settled => settled,
            };
            let Some(count) = ok(settled) else { return };
            note_fenced(1, count);
            written.push(lease);
            self.settle.pop();
        }
    }
}

fn ok(result: Result<u64, StoreError>) -> Option<u64> {
    result.inspect_err(warn).ok()
}

fn warn(error: &StoreError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(cause, "cannot write the ends of jobs; will try again");
}

fn note_fenced(sent: usize, written: u64) {
    let fenced = (sent as u64).saturating_sub(written);
    if fenced > 0 {
        tracing::warn!(fenced, "jobs ended that were another worker's by then");
        metrics::counter!(JOBS_FENCED).increment(fenced);
    }
}
