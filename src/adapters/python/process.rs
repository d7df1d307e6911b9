//! A worker as a process of the operating system: start it, exchange frames, kill it with everything it started.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tracing::Span;

use super::environment::WorkerEnvironment;
use super::frame::{Frame, FrameError};
use super::noise::{Budget, EventNames, log_lines, log_record};
use crate::faults::Fault;
use crate::telemetry::plugins::PLUGIN_EVENTS;
use crate::telemetry::{self, RequestContext};

/// How long an answer may still be on its way when the worker that sent it has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How a worker is started.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// This program.
    pub program: PathBuf,
    /// What it is told.
    pub environment: WorkerEnvironment,
    /// How long it may take until it is ready.
    pub within: Duration,
    /// Under which names its plugins count.
    pub names: EventNames,
}

/// The call that a worker serves, for whatever it says meanwhile.
#[derive(Clone, Default)]
pub(super) struct CurrentCall {
    serving: Arc<Mutex<Option<Serving>>>,
    names: EventNames,
}

struct Serving {
    number: u64,
    plugin: String,
    span: Span,
    context: Option<Arc<RequestContext>>,
}

impl CurrentCall {
    pub(super) fn begin(&self, number: u64, plugin: String, span: Span, context: Option<Arc<RequestContext>>) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some(Serving { number, plugin, span, context });
    }

    /// The call has its answer: its span may close, and those above it. What is said from now on is still most likely of it.
    pub(super) fn end(&self) {
        if let Some(serving) = self.serving.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            serving.span = Span::none();
        }
    }

    /// Does something in the span and the request of the latest call.
    pub(super) fn enter(&self, act: impl FnOnce(u64)) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        match serving.as_ref() {
            Some(Serving { number, span, context, .. }) => span.in_scope(|| match context {
                Some(context) => telemetry::within(context.clone(), || act(*number)),
                None => act(*number),
            }),
            None => act(0),
        }
    }

    fn count(&self, event: &str, amount: u64) {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        let plugin = serving.as_ref().map_or_else(String::new, |serving| serving.plugin.clone());
        let event = self.names.of(&plugin, event);
        metrics::counter!(PLUGIN_EVENTS, "plugin" => plugin, "event" => event).increment(amount);
    }
}

/// What a worker answers a call.
pub(super) struct Reply {
    pub header: Value,
    pub payload: Bytes,
}

/// A worker that is ready for calls. Dropping it kills it.
pub(super) struct Worker {
    child: Child,
    /// The worker and whatever it starts; known also when the worker itself is gone.
    group: Option<Pid>,
    writer: OwnedWriteHalf,
    replies: mpsc::Receiver<Result<Reply, FrameError>>,
    pub current: CurrentCall,
}

impl Worker {
    /// Starts a worker and waits until it has loaded its plugins.
    pub(super) async fn start(launch: &Launch) -> Result<Self, String> {
        let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(|error| failed("no socket", error))?;
        ours.set_nonblocking(true).map_err(|error| failed("no socket", error))?;
        let ours = UnixStream::from_std(ours).map_err(|error| failed("no socket", error))?;
        let mut child = Command::new(&launch.program)
            .arg("plugin-worker")
            .env_clear()
            .envs(launch.environment.variables())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("cannot run {}", launch.program.display()), error))?;
        let current = CurrentCall { names: launch.names.clone(), ..CurrentCall::default() };
        if let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) {
            tokio::spawn(log_lines(out, "stdout", current.clone()));
            tokio::spawn(log_lines(err, "stderr", current.clone()));
        }
        let (reader, writer) = ours.into_split();
        // Room for one: a worker that answers more than it was asked waits, and breaks the protocol when it is read.
        let (sender, replies) = mpsc::channel(1);
        tokio::spawn(read_frames(reader, sender, current.clone()));
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let mut worker = Self { child, group, writer, replies, current };
        let ready = tokio::time::timeout(launch.within, worker.replies.recv()).await;
        let problem = match ready {
            Ok(Some(Ok(reply))) if reply.header["kind"] == "ready" => return Ok(worker),
            Ok(Some(Ok(reply))) => reply.header["message"].as_str().unwrap_or("no greeting").to_owned(),
            Ok(Some(Err(FrameError::Ended)) | None) => worker.kill().await,
            Ok(Some(Err(error))) => error.to_string(),
            Err(_) => format!("not ready after {} s", launch.within.as_secs_f64()),
        };
        worker.kill().await;
        Err(problem)
    }

    /// Sends a call.
    pub(super) async fn send(&mut self, frame: &Frame) -> Result<(), FrameError> {
        frame.send(&mut self.writer).await
    }

    /// The next answer; none when the worker went away. Its own end counts: copies of it that a plugin made and left behind
    /// may keep the connection open.
    pub(super) async fn reply(&mut self) -> Option<Result<Reply, FrameError>> {
        tokio::select! {
            biased;
            reply = self.replies.recv() => reply,
            _ = self.child.wait() => tokio::time::timeout(LAST_WORDS, self.replies.recv()).await.ok().flatten(),
        }
    }

    /// Waits for its end; how it ended, in words.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => in_words(status),
            Err(error) => error.to_string(),
        }
    }

    /// Kills the worker and whatever it started, unless it ended already; how it ended, in words.
    pub(super) async fn kill(&mut self) -> String {
        // A worker whose connection ended is about to end by itself: how it does so tells more than the signal.
        let patience = Duration::from_millis(if self.replies.is_closed() { 100 } else { 0 });
        let already = tokio::time::timeout(patience, self.child.wait()).await.ok();
        self.kill_group();
        match already {
            Some(Ok(status)) => in_words(status),
            _ => self.ended().await,
        }
    }

    fn kill_group(&self) {
        let Some(group) = self.group else { return };
        let _ = if Fault::PluginChildrenSurvive.is_seeded() {
            kill_process(group, Signal::KILL)
        } else {
            kill_process_group(group, Signal::KILL)
        };
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill_group();
    }
}

fn in_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it left with exit code {code}"),
        (None, Some(11)) => "segmentation fault".to_owned(),
        (None, Some(9)) => "it was killed".to_owned(),
        (None, signal) => format!("it was ended by signal {}", signal.unwrap_or_default()),
    }
}

/// Passes answers on; logs and counts go where they belong at once.
async fn read_frames(reader: OwnedReadHalf, replies: mpsc::Sender<Result<Reply, FrameError>>, current: CurrentCall) {
    // A frame's lengths and what follows them by one read.
    let mut reader = BufReader::new(reader);
    let mut budget = Budget::default();
    loop {
        let read = Frame::receive(&mut reader).await.and_then(|frame| {
            let header: Value =
                serde_json::from_str(&frame.header).map_err(|_| FrameError::Malformed("its header is not JSON"))?;
            Ok(Reply { header, payload: frame.payload })
        });
        match read {
            Ok(reply) if reply.header["kind"] == "log" => log_record(&reply.header, &current, &mut budget),
            Ok(reply) if reply.header["kind"] == "count" => {
                let event = reply.header["event"].as_str().unwrap_or_default();
                current.count(event, reply.header["amount"].as_u64().unwrap_or(1));
            }
            other => {
                let last = other.is_err();
                if replies.send(other).await.is_err() || last {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn word() -> impl Strategy<Value = String> {
        const KNOWN: &[&str] =
            &["kind", "result", "log", "count", "event", "amount", "level", "ERROR", "error", "ready", "message"];
        prop_oneof![3 => proptest::sample::select(KNOWN).prop_map(str::to_owned), 1 => "\\PC{0,6}"]
    }

    fn header() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            word().prop_map(Value::from),
        ];
        let json = leaf.prop_recursive(3, 20, 5, |inner| {
            let object = prop::collection::btree_map(word(), inner.clone(), 0..5);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                object.prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        prop_oneof![6 => json.prop_map(|json| json.to_string()), 1 => "\\PC{0,20}"]
    }

    proptest! {
        #[test]
        fn whatever_a_worker_sends_is_passed_on_until_it_is_no_frame_any_more(
            headers in prop::collection::vec(header(), 0..8), noise in prop::collection::vec(any::<u8>(), 0..60)
        ) {
            let mut bytes = Vec::new();
            for header in headers {
                Frame { header, payload: Bytes::from_static(b"x") }.write(&mut bytes).unwrap();
            }
            bytes.extend_from_slice(&noise);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let passed_on = runtime.block_on(async move {
                let (mut theirs, ours) = UnixStream::pair().unwrap();
                let (sender, mut replies) = mpsc::channel(1);
                let reading = read_frames(ours.into_split().0, sender, CurrentCall::default());
                let writing = async move { drop(theirs.write_all(&bytes).await) };
                let listening = async move {
                    let mut passed_on = Vec::new();
                    while let Some(reply) = replies.recv().await {
                        passed_on.push(reply.map(|reply| drop(super::super::slot::read(reply))).is_ok());
                    }
                    passed_on
                };
                tokio::join!(reading, writing, listening).2
            });
            let (last, before) = passed_on.split_last().unwrap();
            prop_assert!(!last && before.iter().all(|good| *good), "{passed_on:?}");
        }
    }
}
