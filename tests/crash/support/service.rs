//! The real service as a process of its own, to be killed and started again on the same port.

use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::stage::Stage;

/// How long a start may take before the battery gives up.
const LONGEST_START: Duration = Duration::from_secs(20);

/// A running `docket serve`.
pub struct Service {
    pub url: String,
    pub port: u16,
    command: Command,
    child: Child,
    client: reqwest::Client,
}

impl Service {
    /// Starts the service on the stage's database and waits until it answers.
    pub async fn start(stage: &Stage) -> Self {
        Self::start_with(stage, &[]).await
    }

    /// The same with further settings, as environment variables.
    pub async fn start_with(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DOCKET_CRASH_")) {
            command.env_remove(name);
        }
        let log =
            OpenOptions::new().create(true).append(true).open(stage.directory.path().join("service.log")).unwrap();
        command
            .arg("serve")
            .env("DATABASE_URL", stage.owner_url())
            .env("DOCKET_DATA_DIR", stage.directory.path().join("service"))
            .env("DOCKET_SERVER__BIND", format!("127.0.0.1:{port}"))
            .env("DOCKET_LIMITS__PRINCIPAL_REQUESTS_PER_SECOND", "1000000")
            .env("DOCKET_LIMITS__PRINCIPAL_BURST", "1000000")
            .env("DOCKET_LIMITS__PRINCIPAL_IN_FLIGHT", "100000")
            .env("DOCKET_LIMITS__TENANT_REQUESTS_PER_SECOND", "1000000")
            .env("DOCKET_LIMITS__TENANT_BURST", "1000000")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = command.spawn().unwrap();
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().unwrap();
        let mut service = Self { url: format!("http://127.0.0.1:{port}"), port, command, child, client };
        service.wait_for("/healthz").await.unwrap_or_else(|| panic!("the service did not start: {}", log_end(stage)));
        service
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, as an orchestrator does; its exit code and how long it took.
    pub async fn terminate(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        while self.is_alive() && started.elapsed() < LONGEST_START {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ended = started.elapsed();
        let _ = self.child.kill();
        (self.child.wait().unwrap().code(), ended)
    }

    /// Starts it again after a kill; the time until it is ready to serve, none if it never was.
    pub async fn restart(&mut self) -> Option<Duration> {
        self.child = self.command.spawn().unwrap();
        self.wait_for("/readyz").await
    }

    /// Waits until a probe answers 200.
    pub async fn wait_for(&mut self, probe: &str) -> Option<Duration> {
        let started = Instant::now();
        while started.elapsed() < LONGEST_START && self.is_alive() {
            let answer = self.client.get(format!("{}{probe}", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Some(started.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Resident memory in kibibytes, from `/proc`.
    pub fn resident_kib(&self) -> u64 {
        self.kibibytes("VmRSS:")
    }

    /// The most resident memory since [`Service::forget_peak`], in kibibytes; nothing between two looks is missed.
    pub fn peak_kib(&self) -> u64 {
        self.kibibytes("VmHWM:")
    }

    /// Begins to measure the peak anew (proc(5), `clear_refs`); what is resident now, in kibibytes.
    pub fn forget_peak(&self) -> u64 {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
        self.resident_kib()
    }

    fn kibibytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port below those that the kernel gives to clients: while the service is down, a client that dials its port
/// could be given that very port, connect to itself and so keep the service from coming back.
fn free_port() -> u16 {
    let start = std::process::id() % 10_000;
    let free = (0..10_000).map(|step| 20_000 + u16::try_from((start + step * 7) % 10_000).unwrap());
    free.into_iter().find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The last lines that the service logged.
pub fn log_end(stage: &Stage) -> String {
    let text = std::fs::read_to_string(stage.directory.path().join("service.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
