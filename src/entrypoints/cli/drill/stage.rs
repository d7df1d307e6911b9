//! The stage of a drill: a service of its own on a database of its own, and the helpers that runbooks name.
//!
//! Everything lies in a temporary directory. The commands of a runbook run there with these on their PATH:
//! `docket` (this binary), `docket-service start|stop|kill`, `docket-database start|stop`, `docket-key ROLE`, `psql` and
//! PostgreSQL's other tools as the database's owner. In production they stand for `systemctl`, `docker compose` and the
//! tools installed there.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// How long the service has for an answer before it counts as down.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

const SERVICE: &str = r#"#!/bin/sh
# Starts, stops or kills the service of the drill. A start waits until it is ready, or 20 s.
set -eu
case $1 in
  start) setsid docket demo --no-documents >>"$DRILL/service.log" 2>&1 </dev/null & echo $! >"$DRILL/service.pid"
    for look in $(seq 100); do curl -sf -m 2 -o /dev/null "$BASE_URL/readyz" && break; sleep 0.2; done ;;
  stop) kill -TERM "$(cat "$DRILL/service.pid")"; while kill -0 "$(cat "$DRILL/service.pid")" 2>/dev/null; do sleep 0.1; done ;;
  kill) kill -KILL "$(cat "$DRILL/service.pid")" ;;
esac
"#;

const DATABASE: &str = r#"#!/bin/sh
# Stops the database at once, without asking, or starts it.
set -eu
case $1 in
  stop) kill -QUIT "$(head -n 1 "$DOCKET_DATA_DIR/postgres/postmaster.pid")" ;;
  start) docket migrate ;;
esac
"#;

const KEY: &str = r#"#!/bin/sh
# Prints the demonstration key of a role of the first tenant.
exec sed -n 's/.*"'"$1"'": "\(dk_[^"]*\)".*/\1/p;/]/q' "$DOCKET_DATA_DIR/demo.json" | head -n 1
"#;

/// A running stage; whatever it started is ended when it is dropped.
pub(super) struct Stage {
    directory: PathBuf,
    port: u16,
    keep: bool,
}

impl Stage {
    /// Prepares the directory; nothing runs yet.
    pub(super) fn prepare(name: &str, keep: bool) -> std::io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("docket-drill-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("bin"))?;
        // A free port, kept over restarts of the service.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let stage = Self { directory, port, keep };
        std::os::unix::fs::symlink(std::env::current_exe()?, stage.directory.join("bin/docket"))?;
        for (name, text) in [("docket-service", SERVICE), ("docket-database", DATABASE), ("docket-key", KEY)] {
            stage.install(name, text)?;
        }
        Ok(stage)
    }

    fn install(&self, name: &str, text: &str) -> std::io::Result<()> {
        let path = self.directory.join("bin").join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
    }

    /// Puts PostgreSQL's tools on the PATH: those beside the server that runs, with the libraries they need.
    pub(super) fn find_tools(&self) -> std::io::Result<()> {
        let pid = fs::read_to_string(self.data_dir().join("postgres/postmaster.pid"))?;
        let server = fs::read_link(format!("/proc/{}/exe", pid.lines().next().unwrap_or_default()))?;
        let bin = server.parent().unwrap_or(Path::new("/"));
        let lib = bin.with_file_name("lib");
        for tool in ["psql", "pg_dump", "pg_restore", "pg_basebackup", "pg_ctl"] {
            let (lib, tool_path) = (lib.display(), bin.join(tool));
            let text = format!("#!/bin/sh\nLD_LIBRARY_PATH={lib} exec {} \"$@\"\n", tool_path.display());
            self.install(tool, &text)?;
        }
        Ok(())
    }

    /// Where the service keeps its files.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Runs a script the way a person would, but stops at its first failure.
    pub(super) fn run(&self, script: &str) -> std::io::Result<Output> {
        let path = std::env::var("PATH").unwrap_or_default();
        let socket = fs::read_to_string(self.data_dir().join("postgres/postmaster.pid"));
        let socket = socket.ok().and_then(|text| text.lines().nth(4).map(str::to_owned)).unwrap_or_default();
        Command::new("sh")
            .args(["-eu", "-c", script])
            .current_dir(&self.directory)
            .env("PATH", format!("{}:{path}", self.directory.join("bin").display()))
            .env("DRILL", &self.directory)
            .env("DOCKET_DATA_DIR", self.data_dir())
            .env("BASE_URL", format!("http://127.0.0.1:{}", self.port))
            .env("DOCKET_SERVER__BIND", format!("127.0.0.1:{}", self.port))
            .env("DOCKET_TELEMETRY__LOG_FORMAT", "json")
            .env("DOCKET_TELEMETRY__LOG_FILTER", "warn")
            // Receivers of webhooks in drills are on this machine.
            .env("DOCKET_WEBHOOKS__ALLOW_HTTP", "true")
            .env("DOCKET_WEBHOOKS__ALLOWED_NETWORKS", r#"["127.0.0.0/8"]"#)
            .env("PGHOST", socket)
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "docket")
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .output()
    }

    /// The last lines of the service's log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.directory.join("service.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(4)..].join("\n")
    }

    /// What /metrics says now; none when the service does not answer.
    pub(super) fn scrape(&self) -> Option<String> {
        let address = ([127, 0, 0, 1], self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = String::from_utf8(answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The service stops its database, too; a fault may have left either of them in any state.
        let _ = self.run(
            "docket-service stop 2>/dev/null || true\n\
             kill -QUIT \"$(head -n 1 \"$DOCKET_DATA_DIR/postgres/postmaster.pid\")\" 2>/dev/null || true\n\
             for file in \"$DRILL\"/*.pid; do kill \"$(cat \"$file\")\" 2>/dev/null || true; done\n\
             sed -n \"s|^[^ ]* \\($DRILL/[^ ]*\\) .*|\\1|p\" /proc/mounts | while read -r mount; do umount -l \"$mount\"; done",
        );
        if !self.keep {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
