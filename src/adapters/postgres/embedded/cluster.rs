//! The database cluster on disk: created once by initdb, checked against the binaries' version at every start.

use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Output;

use super::install::Installation;
use super::launcher::Programs;
use super::locks::beside;
use super::{EmbeddedPostgresError, EmbeddedSettings, SUPERUSER, configuration};

/// Makes sure that a complete cluster stands in `data_dir` and tells with which programs it is run. Call it under the
/// start lock and while no server runs there.
pub(super) async fn prepare(
    data_dir: &Path,
    installation: &Installation,
    settings: &EmbeddedSettings,
) -> Result<Programs, EmbeddedPostgresError> {
    let version_file = data_dir.join("PG_VERSION");
    if let Ok(found) = std::fs::read_to_string(&version_file) {
        let programs = Programs::choose(installation, data_dir, settings.user_namespace)?;
        let found = found.trim().to_owned();
        if found != programs.major_version {
            let installed = programs.major_version;
            return Err(EmbeddedPostgresError::VersionMismatch { data_dir: data_dir.to_path_buf(), found, installed });
        }
        return Ok(programs);
    }
    create(data_dir, installation, settings).await
}

/// Builds the cluster beside its place and moves it there when it is complete, so that a killed initdb leaves nothing
/// that looks like a cluster.
async fn create(
    data_dir: &Path,
    installation: &Installation,
    settings: &EmbeddedSettings,
) -> Result<Programs, EmbeddedPostgresError> {
    let building = beside(data_dir, "initialising");
    tracing::info!(data_dir = %data_dir.display(), "creating the database cluster");
    start_empty(&building)?;
    let programs = Programs::choose(installation, &building, settings.user_namespace)?;
    let mut output = initdb(&programs, &building, settings, "C.UTF-8").await?;
    if !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("invalid locale name") {
        // The built-in provider still sorts and folds by Unicode; only the C library's part falls back.
        start_empty(&building)?;
        if let Some(uid) = programs.owner() {
            chown(&building, Some(uid), Some(uid)).map_err(EmbeddedPostgresError::file("give away", &building))?;
        }
        output = initdb(&programs, &building, settings, "C").await?;
    }
    if !output.status.success() {
        let output = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(EmbeddedPostgresError::Initdb { data_dir: data_dir.to_path_buf(), output });
    }
    include_our_settings(&building)?;
    // An empty directory that somebody made beforehand may be replaced; anything else makes the rename fail.
    std::fs::rename(&building, data_dir).map_err(EmbeddedPostgresError::file("create", data_dir))?;
    if let Some(parent) = data_dir.parent() {
        std::fs::File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(EmbeddedPostgresError::file("sync", parent))?;
    }
    Ok(programs)
}

fn start_empty(directory: &Path) -> Result<(), EmbeddedPostgresError> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(EmbeddedPostgresError::file("remove", directory)(error));
        }
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(directory).map_err(EmbeddedPostgresError::file("create", directory))
}

async fn initdb(
    programs: &Programs,
    directory: &Path,
    settings: &EmbeddedSettings,
    locale: &str,
) -> Result<Output, EmbeddedPostgresError> {
    let mut command = programs.command("initdb");
    command.arg("--pgdata").arg(directory).args([
        &format!("--username={SUPERUSER}"),
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        &format!("--locale={locale}"),
        // Whoever may open the socket (mode 0700) may come in; nobody comes in over a network.
        "--auth-local=trust",
        "--auth-host=reject",
        "--data-checksums",
        "--no-instructions",
    ]);
    if !settings.durable {
        command.arg("--no-sync");
    }
    let run = tokio::process::Command::from(command).kill_on_drop(true).output().await;
    run.map_err(|source| EmbeddedPostgresError::Run { program: "initdb", source })
}

fn include_our_settings(directory: &Path) -> Result<(), EmbeddedPostgresError> {
    let path: PathBuf = directory.join("postgresql.conf");
    let mut text = std::fs::read_to_string(&path).map_err(EmbeddedPostgresError::file("read", &path))?;
    text.push_str("\ninclude '");
    text.push_str(configuration::FILE_NAME);
    text.push_str("'\n");
    std::fs::write(&path, text).map_err(EmbeddedPostgresError::file("write", &path))
}

/// Writes `docket.conf` anew, so that changed settings hold from the next start on.
pub(super) fn write_settings(
    data_dir: &Path,
    socket_directory: &Path,
    programs: &Programs,
    settings: &EmbeddedSettings,
) -> Result<(), EmbeddedPostgresError> {
    let path = data_dir.join(configuration::FILE_NAME);
    std::fs::write(&path, configuration::render(settings, socket_directory))
        .map_err(EmbeddedPostgresError::file("write", &path))?;
    match programs.owner() {
        Some(uid) => chown(&path, Some(uid), Some(uid)).map_err(EmbeddedPostgresError::file("give away", &path)),
        None => Ok(()),
    }
}
