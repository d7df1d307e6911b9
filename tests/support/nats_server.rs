//! A real NATS server with `JetStream` (`apt-get install nats-server`): stopped and started at will, on the same port and files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use tempfile::TempDir;

/// The server; it ends with this value.
pub struct NatsServer {
    port: u16,
    files: TempDir,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts it; none, with a message, where it is not installed.
    pub async fn start() -> Option<Self> {
        // Debian puts it where only root looks.
        let found = Command::new(program()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            eprintln!("skipped: no NATS server here; `apt-get install nats-server` installs one");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { port, files: TempDir::new().unwrap(), process: None };
        server.resume().await;
        Some(server)
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client of its own.
    pub async fn client(&self) -> async_nats::jetstream::Context {
        async_nats::jetstream::new(async_nats::connect(self.url()).await.unwrap())
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again with what it had stored, and waits until it answers.
    pub async fn resume(&mut self) {
        let mut command = Command::new(program());
        command.args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"]).arg(self.files.path());
        self.process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let mut said = String::new();
        for _ in 0..3_000 {
            match async_nats::connect(self.url()).await {
                Ok(client) => match async_nats::jetstream::new(client).get_stream("none").await.map(drop) {
                    Err(error) if matches!(error.kind(), GetStreamErrorKind::JetStream(_)) => return,
                    other => said = format!("{other:?}"),
                },
                Err(error) => said = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the NATS server did not start: {said}");
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> &'static str {
    let debian = "/usr/sbin/nats-server";
    if std::path::Path::new(debian).exists() { debian } else { "nats-server" }
}
