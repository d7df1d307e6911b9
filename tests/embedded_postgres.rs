//! The embedded PostgreSQL against the real binaries: start, adopt, survive a kill, stop by the last user only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

use std::path::Path;
use std::time::Duration;

use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedPostgresError, EmbeddedSettings};
use sqlx::{Connection, PgConnection};

fn settings(directory: &Path) -> EmbeddedSettings {
    EmbeddedSettings { durable: false, max_connections: 20, ..EmbeddedSettings::new(directory.join("postgres")) }
}

async fn connect(server: &EmbeddedPostgres) -> PgConnection {
    PgConnection::connect(&server.url(server.superuser(), "postgres")).await.expect("the server accepts connections")
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

fn kill(signal: &str, pid: u32) {
    let status = std::process::Command::new("sh").args(["-c", "kill \"$0\" \"$1\"", signal, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn a_first_start_creates_a_durable_utf8_cluster_with_pgvector_and_no_network_address() {
    let directory = tempfile::tempdir().unwrap();
    let server =
        EmbeddedPostgres::start(&EmbeddedSettings { durable: true, ..settings(directory.path()) }).await.unwrap();
    let mut connection = connect(&server).await;
    let expected = [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
        ("max_connections", "20"),
        ("jit", "off"),
        ("logging_collector", "on"),
    ];
    for (name, value) in expected {
        assert_eq!(setting(&mut connection, name).await, value, "{name}");
    }
    sqlx::query("CREATE EXTENSION vector").execute(&mut connection).await.expect("pgvector is part of the wheel");
    let folded: String = sqlx::query_scalar("SELECT lower('ÅÉΣ')").fetch_one(&mut connection).await.unwrap();
    assert_eq!(folded, "åéσ");
    connection.close().await.unwrap();
    let data_dir = server.data_dir().to_path_buf();
    assert!(server.stop().await.unwrap());
    assert!(!data_dir.join("postmaster.pid").exists());
}

#[tokio::test]
async fn a_second_start_adopts_the_server_and_only_the_last_user_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    let (first, second) = tokio::join!(EmbeddedPostgres::start(&settings), EmbeddedPostgres::start(&settings));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.process_id(), second.process_id());
    assert!(!first.stop().await.unwrap(), "the second user is still there");
    connect(&second).await.close().await.unwrap();
    assert!(second.stop().await.unwrap());
}

#[tokio::test]
async fn a_server_whose_service_was_killed_is_adopted_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let killed = EmbeddedPostgres::start(&settings(directory.path())).await.unwrap();
    let pid = killed.process_id();
    drop(killed);
    let next = EmbeddedPostgres::start(&settings(directory.path())).await.unwrap();
    assert_eq!(next.process_id(), pid);
    assert!(next.stop().await.unwrap());
}

#[tokio::test]
async fn a_killed_postmaster_with_a_busy_backend_does_not_hinder_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let server = EmbeddedPostgres::start(&settings(directory.path())).await.unwrap();
    let mut connection = connect(&server).await;
    sqlx::query("CREATE TABLE kept AS SELECT 1 AS one").execute(&mut connection).await.unwrap();
    sqlx::query("CHECKPOINT").execute(&mut connection).await.unwrap();
    // A backend in a computation does not look up, so it outlives its postmaster and holds its shared memory.
    let busy = tokio::spawn(async move {
        sqlx::query("SELECT count(*) FROM generate_series(1, 1000000000000)").execute(&mut connection).await
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    kill("-9", server.process_id().unwrap());
    server.restart().await.unwrap();
    assert!(busy.await.unwrap().is_err());
    let one: i32 = sqlx::query_scalar("SELECT one FROM kept").fetch_one(&mut connect(&server).await).await.unwrap();
    assert_eq!(one, 1);
    assert!(server.stop().await.unwrap());
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_living_stranger_does_not_hinder_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let server = EmbeddedPostgres::start(&settings(directory.path())).await.unwrap();
    let pid_file = server.data_dir().join("postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    server.kill_immediate().await.unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    std::fs::write(&pid_file, format!("{}\n{rest}", std::process::id())).unwrap();
    server.restart().await.unwrap();
    connect(&server).await.close().await.unwrap();
    assert!(server.stop().await.unwrap());
}

#[tokio::test]
async fn a_data_directory_with_a_long_and_odd_path_gets_a_short_private_socket_directory() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("it's, \"odd\" 100%".repeat(6));
    let server = EmbeddedPostgres::start(&settings(&long)).await.unwrap();
    assert!(server.socket_dir().as_os_str().len() < 90 && !server.socket_dir().starts_with(&long));
    connect(&server).await.close().await.unwrap();
    let socket_dir = server.socket_dir().to_path_buf();
    assert!(server.stop().await.unwrap());
    std::fs::remove_dir_all(socket_dir).unwrap();
}

#[tokio::test]
async fn the_server_keeps_no_file_of_the_process_that_started_it() {
    let directory = tempfile::tempdir().unwrap();
    let lock_file = directory.path().join("lock");
    let inherited = std::fs::File::create(&lock_file).unwrap();
    inherited.lock().unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let server = EmbeddedPostgres::start(&settings(directory.path())).await.unwrap();
    drop(inherited);
    // As `flock FILE make test` would see it: free, although the server lives on. Servers that tests beside this one
    // start may hold the file until they have closed what they inherited.
    let again = std::fs::File::open(&lock_file).unwrap();
    let mut free = false;
    for _ in 0..200 {
        free = again.try_lock().is_ok();
        if free {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(free, "the server inherited the lock");
    assert!(server.stop().await.unwrap());
}

#[tokio::test]
async fn psql_understands_the_url() {
    let directory = tempfile::tempdir().unwrap();
    let server = EmbeddedPostgres::start(&settings(&directory.path().join("a b+c%"))).await.unwrap();
    let Ok(output) = std::process::Command::new("psql")
        .args([&server.url(server.superuser(), "postgres"), "-Atc", "SELECT 'hello'"])
        .output()
    else {
        eprintln!("skipped: psql is not installed");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "hello", "{output:?}");
    assert!(server.stop().await.unwrap());
}

#[tokio::test]
async fn root_without_user_namespaces_runs_the_server_as_an_unprivileged_user() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    if std::fs::metadata(directory.path()).unwrap().uid() != 0 {
        eprintln!("skipped: only root gives up its rights");
        return;
    }
    // The unprivileged user must be able to walk to its data directory.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let settings = EmbeddedSettings { user_namespace: false, ..settings(directory.path()) };
    let server = EmbeddedPostgres::start(&settings).await.unwrap();
    assert_ne!(std::fs::metadata(server.data_dir()).unwrap().uid(), 0);
    connect(&server).await.close().await.unwrap();
    server.kill_immediate().await.unwrap();
    // The owner of the directory decides from now on, also where a namespace would be possible.
    let again = EmbeddedPostgres::start(&EmbeddedSettings { user_namespace: true, ..settings }).await.unwrap();
    connect(&again).await.close().await.unwrap();
    drop(server);
    assert!(again.stop().await.unwrap());
}

#[tokio::test]
async fn a_missing_installation_is_refused_with_what_was_searched_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let settings = EmbeddedSettings { install_dir: Some(nowhere.clone()), ..settings(directory.path()) };
    let error = EmbeddedPostgres::start(&settings).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::NotInstalled { .. }));
    let text = error.to_string();
    for expected in [nowhere.to_str().unwrap(), "make run", "DATABASE_URL", "DOCKET_POSTGRES_INSTALL"] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_data_directory_of_another_major_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(directory.path());
    std::fs::create_dir_all(&settings.data_dir).unwrap();
    std::fs::write(settings.data_dir.join("PG_VERSION"), "9\n").unwrap();
    let error = EmbeddedPostgres::start(&settings).await.unwrap_err();
    assert!(matches!(error, EmbeddedPostgresError::VersionMismatch { .. }), "{error}");
}
