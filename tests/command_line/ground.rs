//! A database with a running service beside it, for the commands that work on both.

use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use docket::adapters::postgres::{self, pool::PoolSettings};
use docket::application::ports::EventSink;
use docket::bootstrap::{self, Parts};
use docket::config::{Config, Sources, load};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::database_support::database::TestDatabase;

/// A database with a running service beside it; commands work on the same database.
pub struct Ground {
    pub database: TestDatabase,
    pub url: String,
    directory: tempfile::TempDir,
    shutdown: CancellationToken,
}

impl Ground {
    pub async fn new() -> Self {
        Self::new_with(|_| {}).await
    }

    /// With a changed configuration of the service.
    pub async fn new_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_sinks(Vec::new(), change).await
    }

    /// With these sinks and a changed configuration of the service.
    pub async fn with_sinks(sinks: Vec<Arc<dyn EventSink>>, change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new().await;
        let directory = tempfile::tempdir().unwrap();
        let mut config = load(&Sources::default()).unwrap().config;
        config.data_dir = directory.path().to_owned();
        config.storage.url = format!("file:{}", directory.path().join("evidence").display());
        config.audit.signing_key_file = directory.path().join("signing.key");
        config.security.api_key_cache_seconds = 0;
        change(&mut config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let settings = PoolSettings {
            url: database.app_url(),
            size: 4,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        };
        let mut parts = Parts::from_pool(postgres::connect(&settings).await.unwrap());
        parts.sinks = sinks;
        let shutdown = CancellationToken::new();
        tokio::spawn(bootstrap::run(config, parts, listener, shutdown.clone()));
        Self { database, url, directory, shutdown }
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[]).await
    }

    /// Runs a command with these variables beside its own.
    pub async fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command.args(arguments).env_clear().env("DATABASE_URL", self.database.superuser_url());
        command.envs(environment.iter().copied());
        command.env("DOCKET_DATA_DIR", self.directory.path()).current_dir(self.directory.path());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs a command that must succeed; what it printed.
    pub async fn ok(&self, arguments: &[&str]) -> (String, String) {
        let output = self.run(arguments).await;
        let (out, errors) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}\n{errors}");
        (out, errors)
    }

    pub async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments).await.0).unwrap()
    }

    /// Runs a command that must fail; the exit code and what it said.
    pub async fn fails(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.run(arguments).await;
        (output.status.code(), text(&output.stderr))
    }

    /// The status of a request with a key.
    pub async fn status(&self, path: &str, key: &str) -> u16 {
        let request = reqwest::Client::new().get(format!("{}{path}", self.url)).bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    }

    /// Every administrative act on the tenant's chain, in order.
    pub async fn acts(&self, tenant: &str) -> Vec<String> {
        let owner = PgPool::connect(&self.database.superuser_url()).await.unwrap();
        let sql = "SELECT a.action FROM docket.audit_events a JOIN docket.tenants t ON t.id = a.chain_id
                   WHERE t.name = $1 ORDER BY a.seq";
        let acts = sqlx::query_scalar(sql).bind(tenant).fetch_all(&owner).await.unwrap();
        owner.close().await;
        acts
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn text(bytes: &[u8]) -> String {
    console::strip_ansi_codes(std::str::from_utf8(bytes).unwrap()).into_owned()
}
