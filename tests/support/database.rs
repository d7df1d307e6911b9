//! A migrated database of its own for each test, copied from a template on one shared throw-away server.
//!
//! The server lives in `target/test-postgres`, is started by the first test of any test binary, adopted by all others
//! and left running for the next run. The template is built once per state of `migrations/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedSettings};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// The advisory lock (database `postgres`) under which a template is built and old databases are swept.
const TEMPLATE_LOCK: i64 = 0x0d0c_4e7e;

/// Tests take seconds; a database of this age was left by a killed or failed test.
const KEEP_FAILED: &str = "1 hour";

struct Shared {
    server: EmbeddedPostgres,
    template: String,
}

/// One per test process. It is never stopped: the lock that it holds ends with the process.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// An empty, migrated database; dropped with the value unless the test failed.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    server: &'static EmbeddedPostgres,
}

impl TestDatabase {
    /// Creates the database; a few milliseconds after the first one of a process.
    pub async fn new() -> Self {
        let shared = SHARED.get_or_init(start).await;
        let name = format!("t_{}", Uuid::now_v7().simple());
        let mut administration = administration(&shared.server).await;
        // A file copy beats WAL_LOG here: there is no disk to wait for and the copy shares the blocks.
        let sql = format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY FILE_COPY", shared.template);
        administration.execute(AssertSqlSafe(sql)).await.expect("create the test's database");
        administration.close().await.expect("close the administration's connection");
        Self { name, server: &shared.server }
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects as the owner of everything, who bypasses row-level security: for arranging and for looking behind.
    pub fn superuser_url(&self) -> String {
        self.server.url(self.server.superuser(), &self.name)
    }

    /// Connects as the role of the service, which row-level security binds.
    pub fn app_url(&self) -> String {
        self.server.url("docket_app", &self.name)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for a look, at least {KEEP_FAILED}: psql '{}'", self.superuser_url());
            return;
        }
        let url = self.server.url(self.server.superuser(), "postgres");
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A thread with a runtime of its own, because the test's runtime may be at its end. Best effort: the next
        // run sweeps what stays.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = runtime.map(|runtime| {
                runtime.block_on(async {
                    let mut connection = PgConnection::connect(&url).await?;
                    connection.execute(AssertSqlSafe(sql)).await?;
                    connection.close().await
                })
            });
        });
        let _ = dropping.join();
    }
}

/// Settings of the shared server.
pub fn shared_server_settings() -> EmbeddedSettings {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project_root().join("target"), PathBuf::from);
    EmbeddedSettings { durable: false, max_connections: 300, ..EmbeddedSettings::new(target.join("test-postgres")) }
}

/// The directory that holds the project's Cargo.toml.
pub fn project_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

async fn start() -> Shared {
    let server = EmbeddedPostgres::start(&shared_server_settings()).await.unwrap_or_else(|error| panic!("{error}"));
    let migrations = project_root().join("migrations");
    let template = format!("docket_template_{}", fingerprint(&migrations));
    let mut connection = administration(&server).await;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut connection).await.expect("lock");
    sweep(&mut connection, &template).await;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&template)
        .fetch_one(&mut connection)
        .await
        .expect("look for the template");
    if !exists {
        build_template(&server, &mut connection, &template, &migrations).await;
    }
    // Closing the connection gives the advisory lock back.
    connection.close().await.expect("close the administration's connection");
    Shared { server, template }
}

/// Migrates a database under another name and renames it when it is complete, so that a killed test run leaves no
/// half-built template.
async fn build_template(server: &EmbeddedPostgres, connection: &mut PgConnection, template: &str, migrations: &Path) {
    let building = format!("{template}_building");
    for sql in [format!("DROP DATABASE IF EXISTS {building} WITH (FORCE)"), format!("CREATE DATABASE {building}")] {
        connection.execute(AssertSqlSafe(sql)).await.expect("create the template");
    }
    let mut inside = PgConnection::connect(&server.url(server.superuser(), &building)).await.expect("connect");
    let migrator = sqlx::migrate::Migrator::new(migrations).await.expect("read migrations/");
    migrator.run(&mut inside).await.expect("run the migrations");
    // Plans in every copy start from these statistics and hint bits, and no copy wakes the autovacuum.
    inside.execute("VACUUM ANALYZE").await.expect("vacuum the template");
    inside.close().await.expect("close the template's connection");
    let sql = format!("ALTER DATABASE {building} RENAME TO {template}");
    connection.execute(AssertSqlSafe(sql)).await.expect("publish the template");
}

/// Drops databases of dead tests and templates of other migrations. The age of a database is that of a file in its
/// directory that no later statement touches.
async fn sweep(connection: &mut PgConnection, template: &str) {
    let stale: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database d
         WHERE (datname ~ '^t_[0-9a-f]{32}$' OR (datname ~ '^docket_template_' AND datname <> $1))
           AND (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification < now() - $2::text::interval
           AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid AND a.backend_type = 'client backend')",
    )
    .bind(template)
    .bind(KEEP_FAILED)
    .fetch_all(&mut *connection)
    .await
    .expect("look for databases of dead tests");
    for name in stale {
        let _ = connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await;
    }
}

/// SHA-256 over names and contents of all migrations, shortened: a PostgreSQL name holds 63 bytes.
fn fingerprint(migrations: &Path) -> String {
    let entries = std::fs::read_dir(migrations).expect("migrations/ exists");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("list migrations/").path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let text = std::fs::read(&file).expect("read a migration");
        digest.update(file.file_name().expect("a file has a name").as_encoded_bytes());
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    hex::encode(digest.finalize())[..16].to_owned()
}

/// A connection to the database in which databases are created and dropped. Several hundred tests that start at once
/// may find every slot taken for a moment.
async fn administration(server: &EmbeddedPostgres) -> PgConnection {
    let url = server.url(server.superuser(), "postgres");
    for _ in 0..100 {
        match PgConnection::connect(&url).await {
            Ok(connection) => return connection,
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("53300") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("cannot connect to the shared test server: {error}"),
        }
    }
    panic!("the shared test server had no free connection for 5 s");
}
