//! R19: plugins do their worst inside of a gateway that serves requests meanwhile. One worker, one misdeed after the other in
//! random order.
//!
//! Each call ends with the error of its kind by its deadline, the next good call succeeds, nobody else's request fails, and no
//! process and no descriptor is left behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use docket::application::ports::Plugins;
use docket::application::ports::plugins::{PluginCall, PluginError, PluginGroup};
use docket::bootstrap;
use docket::config::{ProcessRole, Sources, load};
use docket_domain::principal::Role;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::client::{Client, Request};
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::settings::{random, rounds, seed};
use crate::support::stage::Stage;

/// The deadline of what never ends by itself.
const DEADLINE: Duration = Duration::from_millis(150);
/// The deadline of everything else, and how much later than its deadline an answer may come on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// What an idle service opens and closes by itself: connections to the database and of clients.
const DESCRIPTORS: usize = 24;

/// How a call must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    TimedOut,
    Died,
    Raised(&'static str),
    Answered,
}

/// Every misdeed, and how its call ends.
const DEEDS: [(&str, Ends); 19] = [
    ("endless", Ends::TimedOut),
    ("sleep_in_c", Ends::TimedOut),
    ("deadlock", Ends::TimedOut),
    ("freeze", Ends::TimedOut),
    ("segfault", Ends::Died),
    ("abort", Ends::Died),
    ("leave", Ends::Died),
    ("kill", Ends::Died),
    ("close_all", Ends::Died),
    ("scribble", Ends::Died),
    ("hog", Ends::Raised("memory")),
    ("exit", Ends::Raised("exit")),
    ("raise", Ends::Raised("exception")),
    ("recurse", Ends::Raised("exception")),
    ("unanswerable", Ends::Raised("exception")),
    ("noise", Ends::Answered),
    ("flood", Ends::Answered),
    ("fork", Ends::Answered),
    ("fork_and_stay", Ends::Answered),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_plugins_do_the_gateway_serves_and_the_next_call_works() {
    let _turn = turn().await;
    let seed = seed("R19");
    let mut dice = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let gateway = Gateway::start(&stage).await;
    let client = Client::new(&gateway.url, &findings);
    let key = stage.tenants[0].keys[&Role::Caseworker].clone();
    let mut worker = gateway.call(json!({}), PATIENCE).await.map(|answer| answer["pid"].clone()).unwrap();
    let (over, calm) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let others = tokio::spawn(others(client.clone(), key, calm.clone(), over.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    calm.store(true, Ordering::Relaxed);
    let before = descriptors();
    let (mut injections, mut untyped, mut replaced, mut latest) = (0, 0, Vec::new(), Duration::ZERO);
    let mut order: Vec<usize> = Vec::new();
    for number in rounds("DOCKET_CRASH_PLUGINS", DEEDS.len() as u64) {
        if order.is_empty() {
            order = (0..DEEDS.len()).collect();
            dice.shuffle(&mut order);
        }
        let (deed, ends) = DEEDS[order.pop().unwrap()];
        let deadline = if ends == Ends::TimedOut { DEADLINE } else { PATIENCE };
        let record = match deed {
            "unanswerable" => json!({"unanswerable": true}),
            // A gigabyte takes a build for development half a minute.
            "flood" if number < DEEDS.len() as u64 => json!({"deed": "flood_little"}),
            deed => json!({"deed": deed}),
        };
        let began = Instant::now();
        let answer = tokio::time::timeout(deadline + PATIENCE, gateway.call(record, deadline)).await;
        injections += 1;
        if ends == Ends::TimedOut {
            latest = latest.max(began.elapsed().saturating_sub(deadline));
        }
        let as_it_must = match (&answer, ends) {
            (Ok(Err(PluginError::TimedOut(_))), Ends::TimedOut)
            | (Ok(Err(PluginError::Died(_))), Ends::Died)
            | (Ok(Ok(_)), Ends::Answered) => true,
            (Ok(Err(PluginError::Raised { kind, .. })), Ends::Raised(wanted)) => kind == wanted,
            _ => false,
        };
        untyped += u64::from(!as_it_must);
        findings.expect(as_it_must, || format!("{deed} must end as {ends:?} and ended as {answer:?}"));
        let ended = Instant::now();
        match gateway.call(json!({}), PATIENCE).await {
            Ok(answer) if answer["pid"] != worker => {
                replaced.push(ended.elapsed());
                worker = answer["pid"].clone();
            }
            Ok(_) => {}
            Err(error) => findings.add(format!("the call after {deed} failed: {error}")),
        }
    }
    over.store(true, Ordering::Relaxed);
    let (quiet, during) = others.await.unwrap();
    let strays = gateway.strays(&worker).await;
    findings.expect(strays.is_empty(), || format!("processes are left behind: {strays:?}"));
    for pid in strays.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let after = descriptors();
    findings.expect(after <= before + DESCRIPTORS, || format!("{before} descriptors before, {after} after"));
    replaced.sort_unstable();
    let worst = replaced.last().copied().unwrap_or_default();
    let median = replaced.get(replaced.len() / 2).copied().unwrap_or_default();
    println!(
        "R19 seed {seed}: {injections} injections of {} kinds; {}; a worker was replaced {} times, in {median:.0?} median, {worst:.0?} \
         worst (goal 250ms); stopped {latest:.0?} after the deadline at worst; requests meanwhile: p99 {:.1?} of {} before, {:.1?} of \
         {} during; {} processes and {} descriptors left behind",
        DEEDS.len(),
        bounded(untyped, "without the error of its kind", injections),
        replaced.len(),
        p99(&quiet),
        quiet.len(),
        p99(&during),
        during.len(),
        strays.len(),
        after.saturating_sub(before),
    );
    findings.expect(during.len() > injections, || format!("only {} requests were served meanwhile", during.len()));
    Figures { kills: count(replaced.len()), lost: untyped, ..Figures::default() }.note("R19");
    gateway.stop.cancel();
    findings.assert_none();
}

/// The service in this process, with its own pool of one worker.
struct Gateway {
    url: String,
    plugins: Arc<dyn Plugins>,
    /// In the environment of its workers and of nobody else's.
    mark: PathBuf,
    stop: CancellationToken,
}

impl Gateway {
    async fn start(stage: &Stage) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mark = stage.directory.path().join("plugins");
        std::fs::create_dir_all(&mark).unwrap();
        let mut config = load(&Sources::default()).unwrap().config;
        config.database.url = Some(stage.owner_url().into());
        config.data_dir = stage.directory.path().join("service");
        config.storage.url = format!("file:{}", stage.directory.path().join("evidence").display());
        config.audit.signing_key_file = stage.directory.path().join("audit_signing.key");
        config.server.role = ProcessRole::Api;
        config.embedding.warm_up = false;
        config.plugins.program = Some(env!("CARGO_BIN_EXE_docket").into());
        config.plugins.home = Some(root.join(".venv"));
        config.plugins.path = format!("{}:{}", root.join("tests/plugins/troublemakers").display(), mark.display());
        config.plugins.workers = 1;
        config.plugins.memory_mb = 384;
        let database = bootstrap::database(&config).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (url, stop) = (format!("http://{}", listener.local_addr().unwrap()), CancellationToken::new());
        let parts = bootstrap::Parts::from_pool(database.pool.clone());
        let plugins = parts.plugins(&config);
        tokio::spawn(bootstrap::run(config, parts, listener, stop.clone()));
        Self { url, plugins, mark, stop }
    }

    /// One call of the troublemaker.
    async fn call(&self, record: Value, deadline: Duration) -> Result<Value, PluginError> {
        let call = PluginCall {
            group: PluginGroup::Enrichers,
            name: "trouble".to_owned(),
            arguments: json!({"record": record}),
            payload: Bytes::new(),
            deadline: Some(deadline),
        };
        self.plugins.call(call).await.map(|answer| answer.result)
    }

    /// Processes of this gateway's workers besides the one that serves, after those that end have ended.
    async fn strays(&self, serving: &Value) -> Vec<u64> {
        let began = Instant::now();
        loop {
            let strays: Vec<u64> = processes(&self.mark).into_iter().filter(|pid| *serving != json!(pid)).collect();
            if strays.is_empty() || began.elapsed() > PATIENCE {
                return strays;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Processes whose environment holds the mark, by `/proc`.
fn processes(mark: &Path) -> Vec<u64> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mark = mark.to_str().unwrap();
    let holds = |pid: &u64| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| String::from_utf8_lossy(&environment).contains(mark))
    };
    all.filter(holds).collect()
}

/// How many descriptors this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What others wait for until it is over: before `calm` is set, and afterwards.
async fn others(
    client: Client,
    key: String,
    calm: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, Vec<Duration>) {
    let (mut before, mut during) = (Vec::new(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        for path in ["/v1/cases?limit=1", "/healthz"] {
            let began = Instant::now();
            let answer = client.send(&Request::get(&key, path)).await;
            let times = if calm.load(Ordering::Relaxed) { &mut during } else { &mut before };
            times.push(began.elapsed());
            client.findings.expect(answer.as_ref().is_some_and(|answer| answer.status == 200), || {
                format!("somebody else's {path} was answered {answer:?}")
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    before.sort_unstable();
    during.sort_unstable();
    (before, during)
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}
