//! The pool of plugin workers: a bounded queue before a few places, each of which keeps a worker.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::environment::{WorkerEnvironment, find_home};
use super::frame::{FRAME_MAX, Frame};
use super::noise::EventNames;
use super::process::Launch;
use super::slot::{Waiting, keep};
use crate::application::ports::health::{HealthProbe, ProbeState};
use crate::application::ports::plugins::{PluginAnswer, PluginCall, PluginError, PluginGroup, PluginInfo, Plugins};
use crate::telemetry::plugins::{PLUGIN_CALL_SECONDS, PLUGIN_CALLS, PLUGIN_QUEUE};

/// How plugins are run.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The program that has the command `plugin-worker`; none means this one.
    pub program: Option<PathBuf>,
    /// The virtual environment; none means the active one, or `.venv`.
    pub home: Option<PathBuf>,
    /// Directories searched before it.
    pub path: Vec<PathBuf>,
    /// Workers; at least 1.
    pub workers: usize,
    /// Memory of a worker, in bytes.
    pub memory: u64,
    /// How long a call may take once begun, unless it says otherwise.
    pub deadline: Duration,
    /// How long a worker may take to start.
    pub startup: Duration,
    /// Calls that may wait.
    pub queue: usize,
    /// How long a call may wait to begin.
    pub patience: Duration,
    /// Calls after which a worker is replaced.
    pub recycle_after: u64,
}

/// Where a place for a worker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SlotState {
    Starting,
    Ready,
    Broken(String),
}

/// What the places share.
pub(super) struct Shared {
    pub launch: Launch,
    pub recycle_after: u64,
    pub stop: CancellationToken,
    queue: tokio::sync::Mutex<mpsc::Receiver<Waiting>>,
    states: Mutex<Vec<SlotState>>,
    calls: AtomicU64,
}

impl Shared {
    /// The next call; none when the pool is closed.
    pub(super) async fn next(&self) -> Option<Waiting> {
        let waiting = self.queue.lock().await.recv().await;
        metrics::gauge!(PLUGIN_QUEUE).decrement(1.0);
        waiting
    }

    pub(super) fn set(&self, slot: usize, state: SlotState) {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)[slot] = state;
    }

    /// A number for a call, unlike any other of this process.
    pub(super) fn number(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Why no call can be served; none while any worker is there or about to be.
    fn problem(&self) -> Option<String> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = states.iter().map(|state| match state {
            SlotState::Broken(problem) => Some(problem.clone()),
            _ => None,
        });
        broken.collect::<Option<Vec<_>>>()?.into_iter().next()
    }
}

/// [`Plugins`] in worker processes, which start with the first call (or [`PluginPool::start`]) and end with the pool.
pub struct PluginPool {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Waiting>,
    settings: PoolSettings,
    started: Once,
    _stop_at_drop: DropGuard,
}

impl PluginPool {
    /// A pool without workers yet.
    pub fn new(settings: PoolSettings) -> Self {
        let (sender, receiver) = mpsc::channel(settings.queue.max(1));
        let environment = WorkerEnvironment {
            home: find_home(settings.home.as_deref()),
            path: settings.path.clone(),
            memory: settings.memory,
        };
        let program = settings.program.clone().or_else(|| std::env::current_exe().ok()).unwrap_or_default();
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            launch: Launch { program, environment, within: settings.startup, names: EventNames::default() },
            recycle_after: settings.recycle_after.max(1),
            queue: tokio::sync::Mutex::new(receiver),
            states: Mutex::new(vec![SlotState::Starting; settings.workers.max(1)]),
            calls: AtomicU64::new(0),
            stop: stop.clone(),
        });
        Self { shared, sender, settings, started: Once::new(), _stop_at_drop: stop.drop_guard() }
    }

    /// Starts the workers, unless that was done.
    pub fn start(&self) {
        self.started.call_once(|| {
            for slot in 0..self.settings.workers.max(1) {
                tokio::spawn(keep(self.shared.clone(), slot));
            }
        });
    }

    async fn exchange(
        &self,
        plugin: String,
        mut header: Value,
        payload: Bytes,
        deadline: Option<Duration>,
    ) -> Result<PluginAnswer, PluginError> {
        self.start();
        if let Some(problem) = self.shared.problem() {
            return Err(PluginError::Unavailable(problem));
        }
        let deadline = deadline.unwrap_or(self.settings.deadline);
        let span = tracing::info_span!("plugin", otel.kind = "client", plugin);
        header["deadline_ms"] = json!(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        let context = crate::telemetry::current();
        header["traceparent"] = json!(context.as_ref().and_then(|context| context.traceparent.clone()));
        let frame = Frame { header: header.to_string(), payload };
        if !frame.fits() {
            return Err(PluginError::TooLarge { limit: FRAME_MAX });
        }
        let (reply, answer) = oneshot::channel();
        let stale = Instant::now() + self.settings.patience;
        let waiting = Waiting { plugin: plugin.clone(), frame, deadline, stale, span: span.clone(), context, reply };
        self.sender.try_send(waiting).map_err(|_| PluginError::Overloaded)?;
        metrics::gauge!(PLUGIN_QUEUE).increment(1.0);
        let began = Instant::now();
        let outcome = tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(PluginError::Unavailable("the pool was closed".to_owned()))),
            problem = self.given_up(stale) => Err(problem),
        };
        let word = outcome.as_ref().map_or_else(word, |_| "ok");
        if outcome.is_err() {
            crate::telemetry::mark_failed(&span, word);
        }
        metrics::counter!(PLUGIN_CALLS, "plugin" => plugin.clone(), "outcome" => word).increment(1);
        metrics::histogram!(PLUGIN_CALL_SECONDS, "plugin" => plugin).record(began.elapsed().as_secs_f64());
        outcome
    }

    /// Waits until nobody will begin the call: no worker starts any more. Never ends once the call may have begun.
    async fn given_up(&self, stale: Instant) -> PluginError {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if let Some(problem) = self.shared.problem() {
                return PluginError::Unavailable(problem);
            }
            if Instant::now() > stale + Duration::from_secs(1) {
                // By now a worker has the call, or will answer that it is stale.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The word for metrics.
const fn word(error: &PluginError) -> &'static str {
    match error {
        PluginError::Missing(_) => "missing",
        PluginError::Unavailable(_) => "unavailable",
        PluginError::Overloaded => "overloaded",
        PluginError::TimedOut(_) => "timed_out",
        PluginError::Died(_) => "died",
        PluginError::Raised { .. } => "raised",
        PluginError::Refused { .. } => "refused",
        PluginError::TooLarge { .. } => "too_large",
        PluginError::Protocol(_) => "protocol",
    }
}

#[async_trait]
impl Plugins for PluginPool {
    async fn call(&self, call: PluginCall) -> Result<PluginAnswer, PluginError> {
        let header = json!({"call": "call", "group": call.group, "name": call.name, "arguments": call.arguments});
        self.exchange(call.name, header, call.payload, call.deadline).await
    }

    async fn list(&self) -> Result<Vec<PluginInfo>, PluginError> {
        let answer = self.exchange("list".to_owned(), json!({"call": "list"}), Bytes::new(), None).await?;
        let entries = answer.result["plugins"].as_array().cloned().unwrap_or_default();
        let mut found: Vec<_> = entries.iter().filter_map(info).collect();
        found.sort_by(|one, other| (one.group, &one.name).cmp(&(other.group, &other.name)));
        Ok(found)
    }

    async fn self_test(&self, group: PluginGroup, name: &str) -> Result<(), PluginError> {
        let header = json!({"call": "self_test", "group": group, "name": name});
        self.exchange(name.to_owned(), header, Bytes::new(), None).await.map(drop)
    }
}

fn info(entry: &Value) -> Option<PluginInfo> {
    let text = |member: &str| entry[member].as_str().map(str::to_owned);
    let types = entry["media_types"].as_array().into_iter().flatten();
    Some(PluginInfo {
        group: entry["group"].as_str()?.parse().ok()?,
        name: text("name")?,
        source: text("source")?,
        package: text("package"),
        version: text("version"),
        media_types: types.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        problem: text("problem"),
    })
}

/// Whether plugins can be called, for /readyz.
pub struct PluginProbe {
    /// The pool.
    pub pool: Arc<PluginPool>,
    /// Whether the service is not ready without it.
    pub required: bool,
}

#[async_trait]
impl HealthProbe for PluginProbe {
    fn name(&self) -> &'static str {
        "plugins"
    }

    fn required(&self) -> bool {
        self.required
    }

    async fn check(&self) -> ProbeState {
        if self.required {
            self.pool.start();
        }
        match self.pool.shared.problem() {
            Some(_) => ProbeState::Down("no plugin worker starts; the log says why".to_owned()),
            None => ProbeState::Up,
        }
    }
}
