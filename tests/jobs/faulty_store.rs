//! What a worker makes of a database that loses its answers or refuses one end of many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket::adapters::postgres::PgJobQueue;
use docket::application::ports::StoreError;
use docket::application::ports::job_queue::{ClaimSlot, ClaimedJob, Depth, JobQueue, QueueError, Settlement, Tick};
use docket_domain::ids::{TenantId, WorkerId};
use docket_domain::job::{JobLease, JobState, LeaseTerms};
use serde_json::json;
use time::OffsetDateTime;

use crate::bench::Bench;
use crate::runner::{Puppet, puppet, start_on, wait_for};

/// Long enough that nothing comes back by the end of a lease.
const LEASE: Duration = Duration::from_mins(5);

/// The queue with an evil eye on some calls.
struct Faulty {
    queue: PgJobQueue,
    /// Claims that bring something and whose answers are lost.
    answers_to_lose: AtomicU32,
    /// The dead letter with this in its reason cannot be written.
    poison: &'static str,
}

impl Faulty {
    fn new(bench: &Bench, answers_to_lose: u32, poison: &'static str) -> Arc<Self> {
        let queue = PgJobQueue::new(bench.pool.clone());
        Arc::new(Self { queue, answers_to_lose: AtomicU32::new(answers_to_lose), poison })
    }
}

#[async_trait]
impl JobQueue for Faulty {
    async fn register(&self, worker: WorkerId, name: &str, terms: LeaseTerms) -> Result<(), StoreError> {
        self.queue.register(worker, name, terms).await
    }

    async fn claim(&self, worker: WorkerId, slots: &[ClaimSlot]) -> Result<Vec<ClaimedJob>, QueueError> {
        let claimed = self.queue.claim(worker, slots).await?;
        if !claimed.is_empty() && self.answers_to_lose.load(Ordering::SeqCst) > 0 {
            self.answers_to_lose.fetch_sub(1, Ordering::SeqCst);
            return Err(StoreError::Unavailable("the answer was lost".into()).into());
        }
        Ok(claimed)
    }

    async fn complete(&self, jobs: &[JobLease]) -> Result<u64, StoreError> {
        self.queue.complete(jobs).await
    }

    async fn settle(&self, jobs: &[(JobLease, Settlement)]) -> Result<u64, StoreError> {
        let is_poison = |end: &Settlement| matches!(end, Settlement::Dead { error } if error == self.poison);
        if jobs.iter().any(|(_, end)| is_poison(end)) {
            return Err(StoreError::internal("value out of range"));
        }
        self.queue.settle(jobs).await
    }

    async fn heartbeat(&self, worker: WorkerId, terms: LeaseTerms) -> Result<Vec<JobLease>, QueueError> {
        self.queue.heartbeat(worker, terms).await
    }

    async fn reap(&self) -> Result<u64, StoreError> {
        self.queue.reap().await
    }

    async fn retire(&self, worker: WorkerId) -> Result<u64, StoreError> {
        self.queue.retire(worker).await
    }

    async fn release_unknown(&self, worker: WorkerId, known: &[JobLease]) -> Result<u64, QueueError> {
        self.queue.release_unknown(worker, known).await
    }

    async fn progress(&self, job: JobLease, percent: u8) -> Result<bool, StoreError> {
        self.queue.progress(job, percent).await
    }

    async fn depths(&self, kinds: &[&str], cap: u32) -> Result<Vec<Depth>, StoreError> {
        self.queue.depths(kinds, cap).await
    }

    async fn now(&self) -> Result<OffsetDateTime, StoreError> {
        self.queue.now().await
    }

    async fn last_tick(&self, schedule: &str) -> Result<OffsetDateTime, StoreError> {
        self.queue.last_tick(schedule).await
    }

    async fn fire(&self, tick: Tick<'_>) -> Result<u64, StoreError> {
        self.queue.fire(tick).await
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        self.queue.tenants().await
    }

    async fn hint(&self) -> bool {
        self.queue.hint().await
    }
}

#[tokio::test]
async fn jobs_of_a_claim_whose_answer_was_lost_are_claimed_again_by_the_same_worker() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(puppet(&bench, json!({"act": "done"})).await);
    }
    let worker = start_on(Faulty::new(&bench, 2, ""), vec![handler], LEASE);
    for id in jobs {
        let done = wait_for(&bench, id, JobState::Succeeded).await;
        assert_eq!(done.attempt, 1, "what was lost does not count");
    }
    worker.end().await;
}

#[tokio::test]
async fn an_end_that_cannot_be_written_keeps_no_other_and_becomes_a_dead_letter() {
    let (bench, handler) = (Bench::new().await, Arc::new(Puppet::default()));
    let poisoned = puppet(&bench, json!({"act": "fatal"})).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(puppet(&bench, json!({"act": "done"})).await);
    }
    let worker = start_on(Faulty::new(&bench, 0, "no such thing"), vec![handler], LEASE);
    for id in others {
        wait_for(&bench, id, JobState::Succeeded).await;
    }
    let dead = wait_for(&bench, poisoned, JobState::Dead).await;
    assert_eq!(dead.error.as_deref(), Some("its end could not be written: value out of range"));
    worker.end().await;
}
