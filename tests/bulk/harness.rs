//! What these tests share: a database with a tenant, the program, and a look behind it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::support::database::{TestDatabase, project_root};

/// A database with the tenants `one` and `two`, and a folder for files.
pub struct World {
    pub database: TestDatabase,
    pub folder: tempfile::TempDir,
    pub one: Uuid,
    pub two: Uuid,
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The number in a line of the summary.
    pub fn count(&self, name: &str) -> u64 {
        let line = self.out.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no `{name}` in {self:?}"));
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let mut connection = PgConnection::connect(&database.superuser_url()).await.unwrap();
        for (id, name) in [(one, "one"), (two, "two")] {
            sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, now())")
                .bind(id)
                .bind(name)
                .execute(&mut connection)
                .await
                .unwrap();
        }
        connection.close().await.unwrap();
        Self { database, folder: tempfile::tempdir().unwrap(), one, two }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and answers with its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
        command.args(arguments).current_dir(project_root()).env("DATABASE_URL", self.database.superuser_url());
        // Both are for tests; the program would take them for settings.
        command.env_remove("DOCKET_DATA_DIR").env_remove("DOCKET_POSTGRES_INSTALL");
        command
    }

    pub fn docket(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().unwrap().into()
    }

    /// Imports into the tenant `one`.
    pub fn import(&self, file: &str, more: &[&str]) -> Said {
        self.docket(&[&["import", "cases", file, "--tenant", "one"], more].concat())
    }

    /// The file of rejected rows: line, reference, field, reason, record.
    pub fn rejected(&self, name: &str) -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(self.path(name)).unwrap();
        reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
    }

    pub async fn rows(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = PgConnection::connect(&self.database.superuser_url()).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows
    }

    pub async fn number(&self, sql: &str) -> i64 {
        sqlx::Row::get(&self.rows(sql).await[0], 0)
    }

    /// Every case has as many audit records as its version says, one event for each, and the head of its chain; and the trail
    /// verifies.
    pub async fn assert_sound(&self) {
        let broken = "SELECT count(*) FROM docket.cases c
            WHERE version <> (SELECT count(*) FROM docket.audit_events a WHERE a.chain_id = c.id)
               OR version <> (SELECT count(*) FROM docket.outbox_events o WHERE o.case_id = c.id)
               OR audit_head <> (SELECT hash FROM docket.audit_events a WHERE a.chain_id = c.id ORDER BY seq DESC LIMIT 1)";
        assert_eq!(self.number(broken).await, 0);
        let strays = "SELECT count(*) FROM docket.audit_events a
            WHERE NOT EXISTS (SELECT FROM docket.cases c WHERE c.id = a.chain_id)";
        assert_eq!(self.number(strays).await, 0);
        let verified = self.docket(&["audit", "verify"]);
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
}

/// The real data beside the project, if this machine has it.
pub fn phmsa() -> Option<PathBuf> {
    let data = std::env::var_os("DOCKET_DATA_DIR")
        .map_or_else(|| project_root().parent().unwrap_or(Path::new(".")).join("shared/data"), PathBuf::from);
    let path = data.join("phmsa/cases.csv");
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} does not exist; set DOCKET_DATA_DIR", path.display());
    None
}

/// Rows in the form of the export, numbered from `from`; some with quotes, commas and line feeds.
pub fn generated(from: u64, count: u64) -> String {
    let mut text =
        String::from("reference,state,title,severity,confidentiality,opened_at,narrative,respondent,case_type\n");
    append_generated(&mut text, from, count);
    text
}

pub fn append_generated(text: &mut String, from: u64, count: u64) {
    use std::fmt::Write as _;
    for number in from..from + count {
        let day = number % 28 + 1;
        writeln!(
            text,
            "G-{number},submitted,\"Leak \"\"{number}\"\", pump room\",medium,public,2020-03-{day:02},\"First line.\nSecond.\",\
             Operator {},leak",
            number % 100
        )
        .unwrap();
    }
}
