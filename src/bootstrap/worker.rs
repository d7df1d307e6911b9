//! The background services of a process and what each is given.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use docket_domain::job::LeaseTerms;
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::outside::Outside;
use crate::adapters::postgres::{PgAnswerStore, PgDeadlineWatch, PgHousekeeping, PgJobQueue, PgUsageLedger};
use crate::adapters::system::SystemRandomness;
use crate::application::jobs::answer_upkeep::{PurgeAnswers, SettleLostCalls};
use crate::application::jobs::deadlines::{EscalateBreachedCase, WatchDeadlines};
use crate::application::jobs::maintenance::{
    self, PurgeChunkDeletions, PurgeDeliveryAttempts, PurgeFinishedJobs, PurgeIdempotencyKeys, SignCheckpoint,
    SweepEvidence, VerifyAudit,
};
use crate::application::jobs::probe::Probe;
use crate::application::jobs::{JobHandler, Registry};
use crate::application::ports::{DeadlineWatch, EventSink, JobQueue};
use crate::config::Config;
use crate::entrypoints::worker::relay::{self, HintListener, RelayService};
use crate::entrypoints::worker::{JobRunner, JobUpkeep, OverdueGauge, RunnerSettings, Service, Tools, Worker};

/// The part of the grace period that background work gets; the rest is for closing connections and flushing telemetry.
const SHARE_OF_GRACE: f64 = 0.8;
/// The part of that which jobs and sends get to end by themselves; the rest is for handing them back.
const SHARE_TO_FINISH: f64 = 0.75;

/// The worker of this process; one that only answers requests still hears of what others commit.
pub(super) fn worker(parts: &Parts, config: &Config, outside: &Outside) -> anyhow::Result<Worker> {
    let mut services = if config.server.role.works() { services(parts, config, outside)? } else { Vec::new() };
    if config.relay.hints {
        let (channel, wakeups) = (parts.wakeup_channel(), parts.wakeups.clone());
        services.push(Arc::new(HintListener { channel, wakeups }));
    }
    Ok(Worker::new(services))
}

/// How long background work may go on after the process was told to stop.
pub(super) fn grace(config: &Config) -> Duration {
    Duration::from_millis(config.server.shutdown_grace_ms).mul_f64(SHARE_OF_GRACE)
}

/// How long jobs and sends on their way may go on; then they are handed back.
pub(super) fn finish_within(config: &Config) -> Duration {
    grace(config).mul_f64(SHARE_TO_FINISH)
}

/// Every background service. A new one is a line here.
fn services(parts: &Parts, config: &Config, outside: &Outside) -> anyhow::Result<Vec<Arc<dyn Service>>> {
    let queue: Arc<dyn JobQueue> = Arc::new(PgJobQueue::new(parts.pool.clone()));
    let registry = registry(parts, config, outside)?;
    let settings = runner_settings(config);
    let lease = settings.lease;
    let upkeep = JobUpkeep {
        queue: queue.clone(),
        ids: parts.clock.clone(),
        schedules: maintenance::schedules().context("a schedule of the maintenance is wrong")?,
        kinds: registry.specs().iter().map(|spec| spec.kind).collect(),
        lease,
    };
    let randomness = Arc::new(SystemRandomness);
    let runner = JobRunner(Tools { queue, registry, ids: parts.clock.clone(), randomness, settings });
    let overdue = OverdueGauge { watch: deadline_watch(parts), clock: parts.clock.clone() };
    let relay = RelayService(parts.relay(config, sinks(parts, outside))?);
    Ok(vec![Arc::new(runner), Arc::new(upkeep), Arc::new(relay), Arc::new(overdue)])
}

fn deadline_watch(parts: &Parts) -> Arc<dyn DeadlineWatch> {
    Arc::new(PgDeadlineWatch::new(parts.pool.clone()))
}

fn runner_settings(config: &Config) -> RunnerSettings {
    RunnerSettings {
        name: format!("{} pid {}", hostname(), std::process::id()),
        lease: LeaseTerms { length: Duration::from_millis(config.worker.lease_ms) },
        poll: Duration::from_millis(config.worker.poll_ms),
        window: config.worker.window,
        finish_within: finish_within(config),
    }
}

/// A service that reads documents and does nothing else: for the command that brings them.
pub fn ingest_service(parts: &Parts, config: &Config) -> anyhow::Result<Arc<dyn Service>> {
    let queue: Arc<dyn JobQueue> = Arc::new(PgJobQueue::new(parts.pool.clone()));
    let registry = Registry::new(vec![Arc::new(parts.ingesting(config)?)])?;
    let (ids, randomness) = (parts.clock.clone(), Arc::new(SystemRandomness));
    Ok(Arc::new(JobRunner(Tools { queue, registry, ids, randomness, settings: runner_settings(config) })))
}

/// How many days removals of passages are noted. A process that slept for longer must be started anew.
const REMOVALS_DAYS: u32 = 30;

/// Every kind of job. A new one is a line here.
pub(super) fn registry(parts: &Parts, config: &Config, outside: &Outside) -> anyhow::Result<Registry> {
    let clock = parts.clock.clone();
    let housekeeping = Arc::new(PgHousekeeping::new(parts.pool.clone()));
    let days = |days: u32| time::Duration::days(i64::from(days));
    let mut handlers: Vec<Arc<dyn JobHandler>> = vec![
        Arc::new(Probe { clock: clock.clone() }),
        Arc::new(PurgeIdempotencyKeys(housekeeping.clone())),
        Arc::new(PurgeDeliveryAttempts { housekeeping: housekeeping.clone(), age: days(config.webhooks.log_days) }),
        Arc::new(PurgeChunkDeletions { housekeeping: housekeeping.clone(), age: days(REMOVALS_DAYS) }),
        Arc::new(PurgeFinishedJobs {
            housekeeping,
            age: days(config.worker.finished_days),
            dead_age: days(config.worker.dead_days),
        }),
        Arc::new(SettleLostCalls(Arc::new(PgUsageLedger::new(parts.pool.clone())))),
        Arc::new(PurgeAnswers {
            answers: Arc::new(PgAnswerStore::new(parts.pool.clone())),
            age: days(config.answers.keep_days),
        }),
        Arc::new(parts.ingesting(config)?),
        Arc::new(parts.embedding_passages(config)),
        Arc::new(SweepEvidence { blobs: parts.blobs(config)?, index: parts.evidence(), clock: clock.clone() }),
        Arc::new(VerifyAudit { audit: parts.audit(), signer: parts.signer(config)? }),
        Arc::new(WatchDeadlines { watch: deadline_watch(parts), writing: parts.writing(config) }),
        Arc::new(EscalateBreachedCase { writing: parts.writing(config) }),
        Arc::new(SignCheckpoint { audit: parts.audit(), signer: parts.signer(config)?, clock }),
    ];
    handlers.extend(outside.handlers(parts, config));
    Ok(Registry::new(handlers)?)
}

/// The name of this machine, for people.
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Where events go inside the house, besides webhooks. A new sink is a line here.
fn sinks(parts: &Parts, outside: &Outside) -> Vec<Arc<dyn EventSink>> {
    let mut sinks = parts.sinks.clone();
    sinks.extend(outside.sinks(parts));
    sinks
}

/// Announces this process's commits to the others.
pub(super) fn announce(parts: &Parts, config: &Config, stop: &CancellationToken) {
    if config.relay.hints {
        let (channel, wakeups) = (parts.wakeup_channel(), parts.wakeups.clone());
        tokio::spawn(relay::announce(channel, wakeups, config.server.role.works(), stop.clone()));
    }
}
