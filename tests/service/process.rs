//! The binary as a child process: started on a free port, its URL read from its log.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedSettings};
use docket::adapters::system::secret_file::random_bytes;
use docket::application::tenancy::api_key;
use docket_domain::principal::Scope;
use uuid::Uuid;

/// A running `docket serve`.
pub struct Service {
    child: Child,
    pub url: String,
    data: PathBuf,
}

impl Service {
    /// Starts the service over a data directory and waits until it listens.
    pub async fn start(data: &Path, environment: &[(&str, &str)]) -> Self {
        Self::run(&["serve"], data, environment).await
    }

    /// Starts the demonstration without its documents.
    pub async fn demo(data: &Path) -> Self {
        Self::run(&["demo", "--no-documents"], data, &[]).await
    }

    async fn run(arguments: &[&str], data: &Path, environment: &[(&str, &str)]) -> Self {
        let (data, environment) = (data.to_owned(), environment.to_vec());
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command.args(["--set", "server.bind=127.0.0.1:0"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        command.env("DOCKET_DATA_DIR", &data).env("DOCKET_TELEMETRY__LOG_FORMAT", "json").envs(environment);
        command.env_remove("DATABASE_URL").stderr(Stdio::piped()).stdout(Stdio::null());
        tokio::task::spawn_blocking(move || Self::wait_for(command, data)).await.unwrap()
    }

    fn wait_for(mut command: Command, data: PathBuf) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(line) = lines.next() else { panic!("the service did not start:\n{}", said.join("\n")) };
            let line = line.unwrap();
            let json: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if json["message"] == "listening" {
                break json["fields"]["url"].as_str().unwrap().to_owned();
            }
            said.push(line);
        };
        // Whoever logs must find a reader, or a full pipe would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url, data }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGINT, as Ctrl-C sends it; the exit code.
    pub fn interrupt(&mut self) -> Option<i32> {
        self.signal("-INT");
        self.ended()
    }

    /// Sends a signal and waits for nothing.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process's end; the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Its database, as the owner; the server must be stopped, which ends it when nobody else uses it.
    pub async fn database(&self) -> (EmbeddedPostgres, sqlx::PgPool) {
        let server = EmbeddedPostgres::start(&EmbeddedSettings::new(self.data.join("postgres"))).await.unwrap();
        let pool = sqlx::PgPool::connect(&server.url(server.superuser(), "docket")).await.unwrap();
        (server, pool)
    }

    /// A tenant with one principal of these roles, written past the service; a key with every scope.
    pub async fn seed_key(&self, roles: &[&str]) -> String {
        let (server, pool) = self.database().await;
        let (tenant, principal, key) = (Uuid::now_v7(), Uuid::now_v7(), api_key::from_random(&random_bytes()));
        let statements = [
            "INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, 'traced', 'Traced', now())",
            "INSERT INTO docket.principals (tenant_id, id, kind, display_name, roles, created_at)
             VALUES ($1, $2, 'user', 'Traced', $3, now())",
            "INSERT INTO docket.api_keys (tenant_id, id, principal_id, prefix, secret_hash, label, scopes, created_at)
             VALUES ($1, $2, $2, $3, $4, 'test', $5, now())",
        ];
        sqlx::query(statements[0]).bind(tenant).execute(&pool).await.unwrap();
        sqlx::query(statements[1]).bind(tenant).bind(principal).bind(roles).execute(&pool).await.unwrap();
        let scopes: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        let insert =
            sqlx::query(statements[2]).bind(tenant).bind(principal).bind(&key.prefix).bind(&key.secret_hash[..]);
        insert.bind(scopes).execute(&pool).await.unwrap();
        pool.close().await;
        server.stop().await.unwrap();
        key.text
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
