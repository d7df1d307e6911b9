//! The background service that works on jobs.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::WorkerId;
use docket_domain::job::LeaseTerms;
use tokio_util::sync::CancellationToken;

use super::Service;
use super::job_session::{LeaseLost, Session};
use crate::application::jobs::Registry;
use crate::application::ports::{Clock, JobQueue, Randomness};
use crate::telemetry::jobs::{JOBS_HANDED_BACK, LEASES_LOST};

/// How a worker works.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// The name beside its lease, for people.
    pub name: String,
    /// How long it may be silent.
    pub lease: LeaseTerms,
    /// How often it looks for jobs without being hinted.
    pub poll: Duration,
    /// How many jobs it holds at most.
    pub window: usize,
    /// How long running jobs may go on when the worker stops.
    pub finish_within: Duration,
}

/// What a session needs.
#[derive(Clone)]
pub struct Tools {
    /// The queue.
    pub queue: Arc<dyn JobQueue>,
    /// The kinds to work on.
    pub registry: Registry,
    /// Fresh ids.
    pub ids: Arc<dyn Clock>,
    /// What jitter is made of.
    pub randomness: Arc<dyn Randomness>,
    /// How to work.
    pub settings: RunnerSettings,
}

impl Tools {
    /// A random number.
    pub fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.randomness.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

/// Works on jobs: one session after the other, each with a lease of its own.
pub struct JobRunner(pub Tools);

#[async_trait]
impl Service for JobRunner {
    fn name(&self) -> &'static str {
        "jobs"
    }

    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let Tools { queue, settings, ids, .. } = &self.0;
        while !stop.is_cancelled() {
            let worker = WorkerId(ids.new_id());
            queue.register(worker, &settings.name, settings.lease).await?;
            let mut session = Session::new(self.0.clone(), worker);
            let outcome = match session.work(&stop).await {
                Ok(()) => session.drain(settings.finish_within).await,
                lost => lost,
            };
            // Dropping it stops everything that still runs.
            drop(session);
            if let Err(LeaseLost) = outcome {
                tracing::warn!(%worker, "lost the lease: others have its jobs; beginning anew");
                metrics::counter!(LEASES_LOST).increment(1);
                continue;
            }
            let handed_back = queue.retire(worker).await?;
            if handed_back > 0 {
                tracing::info!(jobs = handed_back, "handed back");
                metrics::counter!(JOBS_HANDED_BACK).increment(handed_back);
            }
        }
        Ok(())
    }
}
