//! The background service around the queue: gives up silent workers, enqueues what is scheduled, shows what waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::job::LeaseTerms;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::application::jobs::schedule::{Schedule, fire_due};
use crate::application::ports::{Clock, JobQueue};
use crate::telemetry::jobs::{JOBS_DEAD, JOBS_OLDEST, JOBS_REAPED, JOBS_WAITING};

/// How often schedules are looked at: a cron tick is a minute.
const SCHEDULES_EVERY: Duration = Duration::from_secs(5);
/// How often the gauges are set at most.
const GAUGES_EVERY: Duration = Duration::from_secs(10);
/// Counting takes at most a hundredth of the time.
const GAUGES_SHARE: u32 = 100;
/// Counting ends here.
const COUNT_CAP: u32 = 10_000;

/// Upkeep of the queue. Every process does it, none needs to be the one: each step is safe to do twice at once.
pub struct JobUpkeep {
    /// The queue.
    pub queue: Arc<dyn JobQueue>,
    /// Fresh ids for scheduled jobs.
    pub ids: Arc<dyn Clock>,
    /// What is scheduled.
    pub schedules: Vec<Schedule>,
    /// The kinds to show.
    pub kinds: Vec<&'static str>,
    /// How long a worker may be silent.
    pub lease: LeaseTerms,
}

#[async_trait]
impl Service for JobUpkeep {
    fn name(&self) -> &'static str {
        "job_upkeep"
    }

    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut reaps = tokio::time::interval(self.lease.look_every());
        let mut ticks = tokio::time::interval(SCHEDULES_EVERY);
        let mut gauges_at = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = reaps.tick() => {
                    let reaped = self.queue.reap().await?;
                    if reaped > 0 {
                        tracing::warn!(jobs = reaped, "took jobs back from a worker that stopped answering");
                        metrics::counter!(JOBS_REAPED).increment(reaped);
                    }
                }
                _ = ticks.tick() => {
                    let enqueued = fire_due(self.queue.as_ref(), self.ids.as_ref(), &self.schedules).await?;
                    if enqueued > 0 {
                        tracing::info!(jobs = enqueued, "enqueued what was scheduled");
                    }
                }
                () = tokio::time::sleep_until(gauges_at) => {
                    let began = Instant::now();
                    self.show().await?;
                    gauges_at = Instant::now() + GAUGES_EVERY.max(began.elapsed() * GAUGES_SHARE);
                }
            }
        }
    }
}

impl JobUpkeep {
    #[allow(clippy::cast_precision_loss, reason = "counts end at ten thousand")]
    async fn show(&self) -> anyhow::Result<()> {
        for depth in self.queue.depths(&self.kinds, COUNT_CAP).await? {
            let Some(kind) = self.kinds.iter().copied().find(|kind| *kind == depth.kind) else { continue };
            metrics::gauge!(JOBS_WAITING, "kind" => kind).set(depth.waiting as f64);
            metrics::gauge!(JOBS_OLDEST, "kind" => kind).set(depth.oldest.as_secs_f64());
            metrics::gauge!(JOBS_DEAD, "kind" => kind).set(depth.dead as f64);
        }
        Ok(())
    }
}
