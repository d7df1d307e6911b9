//! Maintenance: what keeps the service's own house in order, as jobs on the queue like any other.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::principal::{Role, Roles};
use serde_json::{Value, json};
use time::Duration;

use super::handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use super::schedule::{For, InvalidCron, Schedule};
use crate::application::audit::checkpoints::make_checkpoint;
use crate::application::audit::verify_trail::verify_trail;
use crate::application::evidence::sweep_orphans::sweep_orphans;
use crate::application::knowledge::embed_passages::EMBED_PASSAGES;
use crate::application::ports::housekeeping::Housekeeping;
use crate::application::ports::{AuditStore, BlobStore, Clock, EvidenceIndex, Signer, StoreError};
use crate::telemetry::delivery;

/// Rows that one statement removes: few enough to be done within a moment, because versions of rows that others replace
/// meanwhile can be cleared away only after it.
const BATCH: u32 = 1_000;
/// Who may run maintenance of the platform by hand.
const OPERATORS: Roles = Roles::of(&[Role::Operator]);

/// When maintenance runs (UTC).
pub fn schedules() -> Result<Vec<Schedule>, InvalidCron> {
    let platform = |kind, expression| Schedule::new(kind, expression, kind, json!({}), For::Platform);
    Ok(vec![
        platform("purge_idempotency_keys", "*/10 * * * *")?,
        platform("purge_finished_jobs", "5 * * * *")?,
        platform("purge_delivery_attempts", "15 * * * *")?,
        platform("purge_chunk_deletions", "20 3 * * *")?,
        platform("settle_lost_calls", "*/5 * * * *")?,
        platform("purge_answers", "25 3 * * *")?,
        platform(super::deadlines::WATCH, "* * * * *")?,
        platform("sweep_evidence", "40 2 * * *")?,
        Schedule::new(EMBED_PASSAGES, "*/15 * * * *", EMBED_PASSAGES, json!({}), For::EachTenant)?,
        Schedule::new("sign_checkpoint", "10 1 * * *", "sign_checkpoint", json!({}), For::EachTenant)?,
        Schedule::new("verify_audit", "30 1 * * *", "verify_audit", json!({}), For::EachTenant)?,
    ])
}

/// Maintenance takes no payload.
pub(crate) fn no_payload(payload: &Value) -> Result<(), String> {
    if payload.as_object().is_some_and(serde_json::Map::is_empty) { Ok(()) } else { Err("must be {}".to_owned()) }
}

/// Works on batch after batch until one was not full, and gives how many rows that were.
pub(crate) async fn batch_after_batch<Work>(
    context: &JobContext,
    size: u32,
    mut work: impl FnMut(u32) -> Work + Send,
) -> Result<u64, JobError>
where
    Work: Future<Output = Result<u64, StoreError>> + Send,
{
    let mut total = 0;
    loop {
        let done = work(size).await?;
        total += done;
        if done < u64::from(size) {
            return Ok(total);
        }
        context.go_on()?;
    }
}

/// Removes idempotency keys that expired.
pub struct PurgeIdempotencyKeys(pub Arc<dyn Housekeeping>);

#[async_trait]
impl JobHandler for PurgeIdempotencyKeys {
    fn spec(&self) -> KindSpec {
        let about = "Removes idempotency keys that expired.";
        let spec = KindSpec::new("purge_idempotency_keys", about);
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let removed = batch_after_batch(context, BATCH, |size| self.0.purge_idempotency_keys(size)).await?;
        Ok(Outcome::DoneWith(json!({"removed": removed})))
    }
}

/// Removes jobs that ended long ago.
pub struct PurgeFinishedJobs {
    /// Where they are.
    pub housekeeping: Arc<dyn Housekeeping>,
    /// How long results and cancelled jobs are kept.
    pub age: Duration,
    /// How long dead letters are kept.
    pub dead_age: Duration,
}

#[async_trait]
impl JobHandler for PurgeFinishedJobs {
    fn spec(&self) -> KindSpec {
        let about = "Removes jobs that ended long ago, and dead letters that nobody redrove.";
        let spec = KindSpec::new("purge_finished_jobs", about);
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let purge = |size| self.housekeeping.purge_finished_jobs(self.age, self.dead_age, size);
        let removed = batch_after_batch(context, BATCH, purge).await?;
        Ok(Outcome::DoneWith(json!({"removed": removed})))
    }
}

/// Removes old lines of the delivery logs of endpoints.
pub struct PurgeDeliveryAttempts {
    /// Where they are.
    pub housekeeping: Arc<dyn Housekeeping>,
    /// How long they are kept.
    pub age: Duration,
}

#[async_trait]
impl JobHandler for PurgeDeliveryAttempts {
    fn spec(&self) -> KindSpec {
        let about = "Removes lines of the delivery logs that are older than `webhooks.log_days`.";
        let spec = KindSpec::new("purge_delivery_attempts", about);
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let purge = |size| {
            let purged = self.housekeeping.purge_delivery_attempts(self.age, size);
            async { purged.await.inspect(|gone| delivery::purged(*gone)) }
        };
        let removed = batch_after_batch(context, BATCH, purge).await?;
        Ok(Outcome::DoneWith(json!({"removed": removed})))
    }
}

/// Removes notes of passages that were removed long ago.
pub struct PurgeChunkDeletions {
    /// Where they are.
    pub housekeeping: Arc<dyn Housekeeping>,
    /// How long they are kept: longer than a process that follows the passages may sleep without being started anew.
    pub age: Duration,
}

#[async_trait]
impl JobHandler for PurgeChunkDeletions {
    fn spec(&self) -> KindSpec {
        let about = "Removes notes of removed passages that every index has followed long ago.";
        let spec = KindSpec::new("purge_chunk_deletions", about);
        KindSpec { concurrency: 1, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let purge = |size| self.housekeeping.purge_chunk_deletions(self.age, size);
        let removed = batch_after_batch(context, BATCH, purge).await?;
        Ok(Outcome::DoneWith(json!({"removed": removed})))
    }
}

/// Removes stored bytes that no case uses.
pub struct SweepEvidence {
    /// Where the bytes are.
    pub blobs: Arc<dyn BlobStore>,
    /// What the cases use.
    pub index: Arc<dyn EvidenceIndex>,
    /// The age of bytes is measured by it.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl JobHandler for SweepEvidence {
    fn spec(&self) -> KindSpec {
        let about = "Removes stored bytes that no case uses and that are older than a day.";
        let spec = KindSpec::new("sweep_evidence", about);
        let timeout = std::time::Duration::from_hours(1);
        KindSpec { concurrency: 1, timeout, keeps_results: true, enqueued_by: OPERATORS, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let sweep = sweep_orphans(self.blobs.as_ref(), self.index.as_ref(), self.clock.now(), Duration::DAY, false);
        // Stopping in the middle is safe: what is left is swept the next time.
        let swept = tokio::select! {
            swept = sweep => swept?,
            () = context.cancelled.cancelled() => return Err(JobError::Cancelled),
        };
        Ok(Outcome::DoneWith(json!({
            "seen": swept.seen,
            "contents_removed": swept.contents_removed,
            "uploads_removed": swept.uploads_removed,
        })))
    }
}

/// Seals a tenant's audit trail by a signed checkpoint.
pub struct SignCheckpoint {
    /// The trail.
    pub audit: Arc<dyn AuditStore>,
    /// The key, which lies outside the database.
    pub signer: Arc<dyn Signer>,
    /// The time of the checkpoint.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl JobHandler for SignCheckpoint {
    fn spec(&self) -> KindSpec {
        let about = "Seals the tenant's audit trail by a signed checkpoint over the chains that moved.";
        let enqueued_by = Roles::of(&[Role::Admin, Role::Auditor]);
        let spec = KindSpec::new("sign_checkpoint", about);
        KindSpec { concurrency: 2, keeps_results: true, enqueued_by, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let (audit, signer, clock) = (self.audit.as_ref(), self.signer.as_ref(), self.clock.as_ref());
        let made = make_checkpoint(audit, signer, clock, context.tenant_id()).await?;
        let statement = &made.statement;
        Ok(Outcome::DoneWith(json!({"number": statement.number, "heads": statement.heads})))
    }
}

/// Walks a tenant's whole audit trail and judges every hash and signature again. A trail that was changed makes the job a
/// dead letter, which stays until somebody has looked: an alert hangs on it.
pub struct VerifyAudit {
    /// The trail.
    pub audit: Arc<dyn AuditStore>,
    /// Judges the signatures of checkpoints.
    pub signer: Arc<dyn Signer>,
}

#[async_trait]
impl JobHandler for VerifyAudit {
    fn spec(&self) -> KindSpec {
        let about = "Verifies the tenant's whole audit trail; dead when it is not as it was written.";
        let enqueued_by = Roles::of(&[Role::Admin, Role::Auditor]);
        let spec = KindSpec::new("verify_audit", about);
        let timeout = std::time::Duration::from_hours(1);
        KindSpec { concurrency: 1, timeout, keeps_results: true, enqueued_by, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let walk = verify_trail(self.audit.as_ref(), self.signer.as_ref(), context.tenant_id(), None, |_| {});
        let report = tokio::select! {
            report = walk => report?,
            () = context.cancelled.cancelled() => return Err(JobError::Cancelled),
        };
        match report.faults.first() {
            None => Ok(Outcome::DoneWith(json!({"chains": report.chains, "records": report.records}))),
            Some(fault) => Err(JobError::Fatal(format!(
                "the audit trail is not as it was written: {} fault(s), the first: {}",
                report.faults.len(),
                fault.detail
            ))),
        }
    }
}
