//! One place for a worker: keeps it filled, hands it one call after the other, and replaces it when it dies of one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::frame::Frame;
use super::pool::{Shared, SlotState};
use super::process::{Reply, Worker};
use crate::application::ports::plugins::{PluginAnswer, PluginError};
use crate::telemetry::plugins::PLUGIN_WORKERS_REPLACED;
use crate::telemetry::{self, RequestContext};

/// The longest pause after workers died one after the other.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The pause after the second death in a row; it doubles from there.
const PAUSE: Duration = Duration::from_millis(100);

/// A call that waits for a worker.
pub(super) struct Waiting {
    /// The plugin, for logs and metrics.
    pub plugin: String,
    /// What is sent.
    pub frame: Frame,
    /// How long it may take once begun.
    pub deadline: Duration,
    /// When it need not be begun any more.
    pub stale: Instant,
    /// Where it belongs in the trace.
    pub span: Span,
    /// Under which names it is logged.
    pub context: Option<Arc<RequestContext>>,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<PluginAnswer, PluginError>>,
}

/// Why a worker is replaced.
enum Left {
    Stop,
    Recycled,
    Died(&'static str),
}

/// Keeps one worker until the pool is closed.
pub(super) async fn keep(shared: Arc<Shared>, slot: usize) {
    let mut deaths = 0_u32;
    loop {
        shared.set(slot, SlotState::Starting);
        let began = Instant::now();
        match Worker::start(&shared.launch).await {
            Ok(worker) => {
                tracing::debug!(slot, milliseconds = began.elapsed().as_millis(), "plugin worker ready");
                shared.set(slot, SlotState::Ready);
                match serve(&shared, worker, &mut deaths).await {
                    Left::Stop => return,
                    Left::Recycled => replaced("recycled"),
                    Left::Died(how) => {
                        replaced(how);
                        deaths += 1;
                    }
                }
            }
            Err(problem) => {
                tracing::error!(slot, problem, "a plugin worker does not start");
                replaced("not_started");
                shared.set(slot, SlotState::Broken(problem));
                // The next attempt will hardly go better at once.
                deaths = deaths.max(1) + 1;
            }
        }
        if deaths > 1 {
            let pause = (PAUSE * 2_u32.saturating_pow(deaths.min(16) - 2)).min(PAUSE_MAX);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.stop.cancelled() => return,
            }
        }
    }
}

fn replaced(reason: &'static str) {
    metrics::counter!(PLUGIN_WORKERS_REPLACED, "reason" => reason).increment(1);
}

async fn serve(shared: &Shared, mut worker: Worker, deaths: &mut u32) -> Left {
    let mut served = 0;
    while served < shared.recycle_after {
        let waiting = tokio::select! {
            biased;
            () = shared.stop.cancelled() => return Left::Stop,
            how = worker.ended() => {
                tracing::warn!(how, "a plugin worker died between calls");
                return Left::Died("died_idle");
            }
            waiting = shared.next() => waiting,
        };
        let Some(waiting) = waiting else { return Left::Stop };
        if waiting.reply.is_closed() {
            continue;
        }
        if waiting.stale <= Instant::now() {
            let _ = waiting.reply.send(Err(PluginError::Overloaded));
            continue;
        }
        served += 1;
        let span = waiting.span.clone();
        let context = waiting.context.clone();
        worker.current.begin(shared.number(), waiting.plugin.clone(), span.clone(), context.clone());
        let work = one(&mut worker, &waiting).instrument(span);
        let (answer, left) = match context {
            Some(context) => telemetry::scope(context, work).await,
            None => work.await,
        };
        worker.current.end();
        if left.is_none() {
            *deaths = 0;
        }
        let _ = waiting.reply.send(answer);
        if let Some(left) = left {
            return left;
        }
    }
    Left::Recycled
}

/// One call; and, if the worker cannot go on, why.
async fn one(worker: &mut Worker, waiting: &Waiting) -> (Result<PluginAnswer, PluginError>, Option<Left>) {
    let exchange = async {
        worker.send(&waiting.frame).await.ok()?;
        worker.reply().await?.ok()
    };
    match tokio::time::timeout(waiting.deadline, exchange).await {
        Ok(Some(reply)) => {
            let answer = read(reply);
            // Whoever ran out of memory has little left for the next; whoever breaks the protocol is not to be trusted.
            let spent = match &answer {
                Err(PluginError::Raised { kind, .. }) if kind == "memory" => Some(Left::Died("memory")),
                Err(PluginError::Protocol(_)) => Some(Left::Died("protocol")),
                _ => None,
            };
            (answer, spent)
        }
        Ok(None) => {
            let how = worker.kill().await;
            tracing::error!(how, "a plugin worker died of its call");
            (Err(PluginError::Died(how)), Some(Left::Died("died")))
        }
        Err(_) => {
            worker.kill().await;
            tracing::error!(milliseconds = waiting.deadline.as_millis(), "a plugin was stopped at its deadline");
            (Err(PluginError::TimedOut(waiting.deadline)), Some(Left::Died("deadline")))
        }
    }
}

/// What an answer says, whatever a worker wrote into it.
pub(super) fn read(reply: Reply) -> Result<PluginAnswer, PluginError> {
    let Reply { mut header, payload } = reply;
    let text = |member: &str| header[member].as_str().unwrap_or_default().to_owned();
    match header["kind"].as_str() {
        Some("result") => Ok(PluginAnswer { result: header["result"].take(), payload }),
        Some("refused") => Err(PluginError::Refused { reason: text("reason"), message: text("message") }),
        Some("error") => {
            let (kind, message) = (text("error"), text("message"));
            if let Some(traceback) = header.get("traceback").and_then(Value::as_str) {
                tracing::error!(traceback, "a plugin raised {message}");
            }
            Err(match kind.as_str() {
                "missing" => PluginError::Missing(message),
                "too_large" => PluginError::TooLarge { limit: super::frame::FRAME_MAX },
                _ => PluginError::Raised { kind, message },
            })
        }
        other => Err(PluginError::Protocol(format!("an answer of the kind {other:?}"))),
    }
}
