//! A worker as a process of its own: this very test program, started again as the one test below, to be killed and frozen.
//!
//! It runs the service's own worker with two kinds of jobs: `effect` writes a case in the transaction that ends the job,
//! `plain` only notes in a file that it ran. Both note that an attempt began; `plain` also notes that it got to its end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket::adapters::postgres::pool::PoolSettings;
use docket::adapters::postgres::{Lane, PgCaseStore, PgJobQueue, connect};
use docket::adapters::system::{SystemClock, SystemRandomness};
use docket::application::cases::unit_of_work::plain;
use docket::application::cases::write_draft::{self, Act};
use docket::application::jobs::{JobContext, JobError, JobHandler, KindSpec, Outcome, Registry};
use docket::application::ports::case_store::{CaseStore, Commit, RowChange};
use docket::application::ports::{Clock, JobQueue};
use docket::entrypoints::worker::{JobRunner, JobUpkeep, RunnerSettings, Service, Tools, Worker};
use docket_domain::case::{Confidentiality, EventType, NewCase, Severity, fields};
use docket_domain::ids::CaseId;
use docket_domain::job::{LeaseTerms, RetryPolicy};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::support::settings::number;
use crate::support::stage::Stage;

/// How many jobs of a kind a worker runs at once.
pub const PLACES: u8 = 8;
/// How long a worker may be silent.
pub const LEASE: Duration = Duration::from_secs(1);
const URL: &str = "DOCKET_CRASH_WORKER_URL";
const NOTES: &str = "DOCKET_CRASH_WORKER_NOTES";
const SHIFT: &str = "DOCKET_CRASH_CLOCK_SHIFT";

/// A worker process, killed when dropped.
pub struct WorkerProcess {
    command: Command,
    child: Child,
}

impl WorkerProcess {
    /// Starts one on the stage's database; its clock is off by `shift` seconds.
    pub fn start(stage: &Stage, shift: i64) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(stage.directory.path().join("worker.log")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["job_worker::process", "--exact", "--nocapture"])
            .env(URL, stage.owner_url())
            .env(NOTES, notes(stage))
            .env(SHIFT, shift.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap();
        Self { command, child }
    }

    /// `kill -9`, and a new process in its place.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = self.command.spawn().unwrap();
    }

    /// Stops it in the middle of whatever it does.
    pub fn freeze(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the workers note their attempts.
pub fn notes(stage: &Stage) -> PathBuf {
    stage.directory.path().join("attempts.log")
}

/// One line for each attempt: the job, the attempt, and `begun` or `done`.
fn note(path: &Path, context: &JobContext, word: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    // One write of one short line is not torn apart by others that append.
    file.write_all(format!("{} {} {word}\n", context.lease.job_id, context.attempt).as_bytes()).unwrap();
}

struct Working {
    kind: &'static str,
    store: Option<PgCaseStore>,
    clock: Arc<SystemClock>,
    notes: PathBuf,
}

#[async_trait]
impl JobHandler for Working {
    fn spec(&self) -> KindSpec {
        // Killed over and over is no reason to give up here.
        let retry =
            RetryPolicy { max_attempts: 10_000, base: Duration::from_millis(10), cap: Duration::from_millis(100) };
        KindSpec { concurrency: usize::from(PLACES), retry, ..KindSpec::new(self.kind, "Works for a battery.") }
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        note(&self.notes, context, "begun");
        tokio::time::sleep(Duration::from_millis(payload["ms"].as_u64().unwrap_or(0))).await;
        let Some(store) = &self.store else {
            note(&self.notes, context, "done");
            return Ok(Outcome::Done);
        };
        let (caller, now) = (context.caller(), self.clock.now());
        let new = NewCase {
            reference: self.clock.new_id().to_string(),
            title: context.lease.job_id.to_string(),
            narrative: String::new(),
            respondent: String::new(),
            case_type: "battery".to_owned(),
            severity: Severity::Low,
            confidentiality: Confidentiality::Internal,
            attributes: serde_json::Map::new(),
        };
        let case = fields::create(CaseId(self.clock.new_id()), new, &caller.actor, now).unwrap();
        let decision = plain(RowChange::Insert, case, "case.create".to_owned(), EventType::CaseCreated, None);
        let (event_id, completes) = (self.clock.new_id(), Some(context.lease));
        let act = Act { caller: &caller, claim: None, rendered: None, now, key_expires_at: now, event_id, completes };
        match store.commit(&write_draft::accepted(&act, None, decision)?).await? {
            Commit::Done => Ok(Outcome::Committed),
            Commit::LeaseLost => Err(JobError::LeaseLost),
            other => Err(JobError::retry(format!("{other:?}"))),
        }
    }
}

/// The process itself; without its environment it is a test that has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn process() {
    let (Ok(url), Ok(notes)) = (std::env::var(URL), std::env::var(NOTES)) else { return };
    let (acquire_timeout, statement_timeout) = (Duration::from_secs(5), Duration::from_secs(10));
    let pool = loop {
        match connect(&PoolSettings { url: url.clone(), size: 6, acquire_timeout, statement_timeout }).await {
            Ok(pool) => break pool,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let shift: i64 = std::env::var(SHIFT).unwrap().parse().unwrap();
    let clock = Arc::new(SystemClock::shifted(time::Duration::seconds(shift)));
    let working = |kind, store| Working { kind, store, clock: clock.clone(), notes: PathBuf::from(&notes) };
    let store = PgCaseStore::new(pool.clone(), Lane::beside(&pool));
    let handlers: Vec<Arc<dyn JobHandler>> =
        vec![Arc::new(working("effect", Some(store))), Arc::new(working("plain", None))];
    let queue: Arc<dyn JobQueue> = Arc::new(PgJobQueue::new(pool));
    let lease = LeaseTerms { length: LEASE };
    let settings = RunnerSettings {
        name: format!("battery {}", std::process::id()),
        lease,
        poll: Duration::from_millis(50),
        window: usize::try_from(number("DOCKET_CRASH_WINDOW", 64)).unwrap(),
        finish_within: Duration::from_secs(2),
    };
    let upkeep = JobUpkeep { queue: queue.clone(), ids: clock.clone(), schedules: vec![], kinds: vec![], lease };
    let registry = Registry::new(handlers).unwrap();
    let tools = Tools { queue, registry, ids: clock, randomness: Arc::new(SystemRandomness), settings };
    let services: Vec<Arc<dyn Service>> = vec![Arc::new(JobRunner(tools)), Arc::new(upkeep)];
    Worker::new(services).run(CancellationToken::new(), Duration::from_secs(2)).await;
}
