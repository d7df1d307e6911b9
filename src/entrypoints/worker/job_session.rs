//! One life of a worker on the queue: from its registration until it leaves or loses its lease.
//!
//! One loop owns all state. What takes time (claims, ends, heartbeats, the jobs themselves) runs in tasks that report
//! to it over one bounded channel, so nothing is locked and nothing piles up: one claim and a few batches of ends at most
//! are on their way, and the ends that come in meanwhile go with the next batch (group commit).

use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::WorkerId;
use docket_domain::job::JobLease;
use docket_domain::job::low_water::{LowWater, Scan};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job_desk::{Desk, Start};
use super::job_ends::{BATCH, Ends};
use super::job_runner::Tools;
use crate::application::jobs::run_job::{Ended, run_job};
use crate::application::ports::StoreError;
use crate::application::ports::job_queue::{ClaimSlot, ClaimedJob, QueueError, Settlement};
use crate::telemetry::jobs::{JOB_ATTEMPTS, JOB_DURATION, JOB_WAIT, JOBS_HANDED_BACK};

/// Batches on their way at once: while one waits for the disk, the next is written.
const WRITERS: usize = 3;
/// Ends that are worth a commit at once.
const FULL: usize = 1_000;
/// How long ends wait for others to join them while more jobs are about to end: every commit waits for the disk.
const GATHER: Duration = Duration::from_millis(5);
/// How long to wait after the database failed.
const PAUSE: Duration = Duration::from_millis(500);

/// The lease is gone: others have the jobs.
#[derive(Debug)]
pub struct LeaseLost;

/// What the tasks report.
enum Report {
    Claimed {
        slots: Vec<ClaimSlot>,
        scan: Scan,
        took: Duration,
        result: Result<Vec<ClaimedJob>, QueueError>,
    },
    /// What was held without our knowledge is not held any more: how many jobs.
    Released(Result<u64, QueueError>),
    Ended {
        desk: usize,
        lease: JobLease,
        waited: Duration,
        took: Duration,
        ended: Ended,
    },
    /// The ends that are durable, and those that are not because the database failed.
    Written {
        written: Vec<JobLease>,
        failed: Ends,
    },
    Cancel(Vec<JobLease>),
    LeaseLost,
}

/// The state of the loop.
pub struct Session {
    tools: Tools,
    worker: WorkerId,
    desk: Desk,
    marks: LowWater,
    began: Instant,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    ends: Ends,
    claiming: bool,
    /// A claim failed, and nobody knows whether it took jobs.
    unsure: bool,
    /// Batches of ends on their way.
    writing: usize,
    /// Since when the oldest end waits to be written.
    ends_since: Instant,
    /// Whether there may be new jobs of any kind.
    look: bool,
    /// Not before this, because the database failed.
    claim_after: Instant,
    write_after: Instant,
    tasks: JoinSet<()>,
    hint: Arc<Notify>,
}

impl Session {
    /// A session of a worker that was just registered.
    pub fn new(tools: Tools, worker: WorkerId) -> Self {
        let now = Instant::now();
        let mut session = Self {
            desk: Desk::new(&tools.registry, tools.settings.window),
            // Every held job has one report at most, and the few tasks of the loop one each.
            reports: mpsc::channel(tools.settings.window + 16),
            tools,
            worker,
            marks: LowWater::default(),
            began: now,
            ends: Ends::default(),
            claiming: false,
            unsure: false,
            writing: 0,
            ends_since: now,
            look: true,
            claim_after: now,
            write_after: now,
            tasks: JoinSet::new(),
            hint: Arc::new(Notify::new()),
        };
        session.spawn_heart();
        session.spawn_listener();
        session
    }

    /// Works until `stop` is cancelled.
    pub async fn work(&mut self, stop: &CancellationToken) -> Result<(), LeaseLost> {
        let mut polls = tokio::time::interval(self.tools.settings.poll);
        polls.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let hint = self.hint.clone();
        loop {
            self.start_jobs();
            self.claim();
            self.write();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = self.reports.1.recv_many(&mut batch, BATCH) => self.read_all(&mut batch)?,
                () = hint.notified() => self.look = true,
                () = tokio::time::sleep_until(self.ends_since + GATHER), if self.gathers() => {}
                _ = polls.tick() => {
                    self.look = true;
                    self.desk.show();
                }
            }
        }
    }

    /// Begins nothing new and waits for what runs: half of the time undisturbed, then asked to end early.
    pub async fn drain(&mut self, within: Duration) -> Result<(), LeaseLost> {
        let (ask, give_up) = (Instant::now() + within / 2, Instant::now() + within);
        self.desk.drop_waiting();
        let mut batch = Vec::new();
        let mut asked = false;
        while self.desk.running() > 0 || self.writing > 0 || !self.ends.is_empty() {
            self.write();
            tokio::select! {
                _ = self.reports.1.recv_many(&mut batch, BATCH) => {
                    // A claim that was on its way goes back with the lease.
                    batch.retain(|report| !matches!(report, Report::Claimed { .. }));
                    self.read_all(&mut batch)?;
                }
                () = tokio::time::sleep_until(ask), if !asked => {
                    asked = true;
                    self.desk.cancel_all();
                }
                () = tokio::time::sleep_until(give_up) => {
                    tracing::warn!(running = self.desk.running(), "handing back jobs that did not end in time");
                    break;
                }
                () = tokio::time::sleep_until(self.write_after), if self.writing == 0 && !self.ends.is_empty() => {}
            }
        }
        self.tasks.shutdown().await;
        Ok(())
    }

    fn read_all(&mut self, batch: &mut Vec<Report>) -> Result<(), LeaseLost> {
        batch.drain(..).try_for_each(|report| self.read(report))
    }

    fn read(&mut self, report: Report) -> Result<(), LeaseLost> {
        match report {
            Report::Claimed { slots, scan, took, result } => {
                self.claiming = false;
                match result {
                    Ok(jobs) => {
                        self.marks.looked(scan, self.began.elapsed(), took);
                        self.desk.take(&slots, jobs, &mut self.marks);
                    }
                    Err(QueueError::LeaseLost) => return Err(LeaseLost),
                    Err(QueueError::Store(error)) => {
                        self.unsure = true;
                        self.claim_later(&error);
                    }
                }
            }
            Report::Released(result) => {
                self.claiming = false;
                match result {
                    Ok(jobs) => self.released(jobs),
                    Err(QueueError::LeaseLost) => return Err(LeaseLost),
                    Err(QueueError::Store(error)) => self.claim_later(&error),
                }
            }
            Report::Ended { desk, lease, waited, took, ended } => self.end(desk, lease, waited, took, ended),
            Report::Written { written, failed } => {
                self.writing -= 1;
                for lease in written {
                    self.desk.release(lease);
                }
                if !failed.is_empty() {
                    self.write_after = Instant::now() + PAUSE;
                    self.ends.give_back(failed);
                }
            }
            Report::Cancel(leases) => {
                for lease in self.desk.cancel(&leases) {
                    self.ends.settle.push((lease, Settlement::Cancelled));
                }
            }
            Report::LeaseLost => return Err(LeaseLost),
        }
        Ok(())
    }

    fn claim_later(&mut self, error: &StoreError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::warn!(cause, "cannot claim jobs");
        (self.look, self.claim_after) = (true, Instant::now() + PAUSE);
    }

    fn released(&mut self, jobs: u64) {
        (self.unsure, self.look) = (false, true);
        if jobs > 0 {
            tracing::warn!(jobs, "handed back what a claim took whose answer was lost");
            metrics::counter!(JOBS_HANDED_BACK).increment(jobs);
        }
    }

    fn end(&mut self, desk: usize, lease: JobLease, waited: Duration, took: Duration, ended: Ended) {
        let kind = self.desk.ended(desk, took);
        if self.ends.is_empty() {
            self.ends_since = Instant::now();
        }
        metrics::counter!(JOB_ATTEMPTS, "kind" => kind, "outcome" => ended.word()).increment(1);
        metrics::histogram!(JOB_WAIT, "kind" => kind).record(waited);
        metrics::histogram!(JOB_DURATION, "kind" => kind).record(took);
        match ended {
            Ended::Complete => self.ends.complete.push(lease),
            // It ended early because this process stops: it is handed back with the lease.
            Ended::Settle(Settlement::Cancelled) if !self.desk.was_cancelled(lease) => self.desk.release(lease),
            Ended::Settle(settlement) => self.ends.settle.push((lease, settlement)),
            Ended::Nothing => self.desk.release(lease),
        }
    }

    fn start_jobs(&mut self) {
        while let Some(Start { desk, handler, job, cancelled }) = self.desk.start_next() {
            let (reports, queue, random) = (self.reports.0.clone(), self.tools.queue.clone(), self.tools.random());
            let fetched = Instant::now();
            self.tasks.spawn(async move {
                let began = Instant::now();
                let (lease, waited) = (job.lease, job.waited + began.duration_since(fetched));
                let ended = run_job(&handler, &queue, job, cancelled, random).await;
                let _ = reports.send(Report::Ended { desk, lease, waited, took: began.elapsed(), ended }).await;
            });
        }
        // Tasks that ended are only forgotten when somebody looks.
        while self.tasks.try_join_next().is_some() {}
    }

    fn claim(&mut self) {
        if self.claiming || Instant::now() < self.claim_after {
            return;
        }
        let (reports, queue, worker) = (self.reports.0.clone(), self.tools.queue.clone(), self.worker);
        if self.unsure {
            self.claiming = true;
            let known = self.desk.leases();
            self.tasks.spawn(async move {
                let _ = reports.send(Report::Released(queue.release_unknown(worker, &known).await)).await;
            });
            return;
        }
        let scan = self.marks.scan(self.began.elapsed());
        let slots = self.desk.slots(self.look, &self.marks, scan);
        if slots.is_empty() {
            return;
        }
        (self.claiming, self.look) = (true, false);
        self.tasks.spawn(async move {
            let began = Instant::now();
            let result = queue.claim(worker, &slots).await;
            let _ = reports.send(Report::Claimed { slots, scan, took: began.elapsed(), result }).await;
        });
    }

    fn write(&mut self) {
        let now = Instant::now();
        let gathered = self.ends.len() >= FULL || !self.desk.has_unbegun() || now >= self.ends_since + GATHER;
        if self.writing >= WRITERS || self.ends.is_empty() || !gathered || now < self.write_after {
            return;
        }
        self.writing += 1;
        self.ends_since = now;
        let mut batch = self.ends.take_batch();
        let (reports, queue) = (self.reports.0.clone(), self.tools.queue.clone());
        self.tasks.spawn(async move {
            let written = batch.write(&queue).await;
            let _ = reports.send(Report::Written { written, failed: batch }).await;
        });
    }

    /// Whether ends wait only for others to join them.
    fn gathers(&self) -> bool {
        self.writing < WRITERS && !self.ends.is_empty() && Instant::now() >= self.write_after
    }

    /// Renews the lease, and notices by a clock that never jumps when it was not renewed in time.
    fn spawn_heart(&mut self) {
        let (reports, queue, worker) = (self.reports.0.clone(), self.tools.queue.clone(), self.worker);
        let terms = self.tools.settings.lease;
        self.tasks.spawn(async move {
            let mut renewed = Instant::now();
            loop {
                tokio::time::sleep(terms.renew_every()).await;
                let asked = Instant::now();
                let report = match tokio::time::timeout(terms.length, queue.heartbeat(worker, terms)).await {
                    Ok(Ok(cancel)) => {
                        renewed = asked;
                        if cancel.is_empty() {
                            continue;
                        }
                        Report::Cancel(cancel)
                    }
                    Ok(Err(QueueError::LeaseLost)) => Report::LeaseLost,
                    _ if terms.is_over(renewed.elapsed()) => Report::LeaseLost,
                    _ => continue,
                };
                if reports.send(report).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Wakes the loop when somebody says that there are new jobs.
    fn spawn_listener(&mut self) {
        let (queue, hint) = (self.tools.queue.clone(), self.hint.clone());
        self.tasks.spawn(async move {
            loop {
                if !queue.hint().await {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                hint.notify_one();
            }
        });
    }
}
