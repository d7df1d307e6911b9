//! Where Python is, and what a worker is told through its environment. Nothing else of the service's environment reaches
//! plugins: passwords and keys stay where they are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The virtual environment, for the worker.
const HOME: &str = "DOCKET_PLUGIN_HOME";
/// Directories searched before it, separated by colons.
const PATH: &str = "DOCKET_PLUGIN_PATH";
/// Memory in bytes.
const MEMORY: &str = "DOCKET_PLUGIN_MEMORY";
/// What is passed on because programs cannot do without it.
const PASSED_ON: &[&str] = &["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE"];
/// Memory of a worker that was told nothing.
const MEMORY_DEFAULT: u64 = 1024 * 1024 * 1024;

/// What a worker reads of its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerEnvironment {
    /// The virtual environment.
    pub home: Option<PathBuf>,
    /// Directories searched before it.
    pub path: Vec<PathBuf>,
    /// Memory in bytes.
    pub memory: u64,
}

impl WorkerEnvironment {
    /// What this process was told.
    pub fn of_process() -> Self {
        let memory = std::env::var(MEMORY).ok().and_then(|text| text.parse().ok());
        Self {
            home: std::env::var_os(HOME).map(PathBuf::from),
            path: std::env::var_os(PATH).map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default(),
            memory: memory.unwrap_or(MEMORY_DEFAULT),
        }
    }

    /// The whole environment of a worker.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        let mut found: Vec<(&'static str, OsString)> =
            PASSED_ON.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
        found.push((MEMORY, self.memory.to_string().into()));
        // This program's own allocator would otherwise take a gigabyte of that at once.
        found.push(("MIMALLOC_ARENA_EAGER_COMMIT", "0".into()));
        found.push(("MIMALLOC_ARENA_RESERVE", "65536".into()));
        found.push(("PYTHONDONTWRITEBYTECODE", "1".into()));
        found.push(("PYTHONUTF8", "1".into()));
        if let Ok(paths) = std::env::join_paths(&self.path) {
            found.push((PATH, paths));
        }
        if let Some(home) = &self.home {
            found.push((HOME, home.into()));
            found.push(("VIRTUAL_ENV", home.into()));
            if let Some(base) = base_of(home) {
                found.push(("PYTHONHOME", base.into()));
            }
        }
        found
    }
}

/// The installation that a virtual environment was made from: one above the directory that `pyvenv.cfg` calls its home.
fn base_of(home: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(home.join("pyvenv.cfg")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("home")?.trim_start().strip_prefix('='))?;
    Path::new(line.trim()).parent().map(Path::to_path_buf)
}

/// The virtual environment to use: the configured one, the active one, or `.venv` here or above this program.
pub fn find_home(configured: Option<&Path>) -> Option<PathBuf> {
    if let Some(home) = configured {
        return Some(home.to_path_buf());
    }
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    let above = program.iter().flat_map(|program| program.ancestors().skip(1)).map(|above| above.join(".venv"));
    let here = std::env::current_dir().ok().map(|here| here.join(".venv"));
    active.into_iter().chain(here).chain(above).find(|home| home.join("pyvenv.cfg").is_file())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_base_of_a_virtual_environment_stands_in_its_configuration() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(base_of(directory.path()), None);
        let text = "home = /opt/python/bin\ninclude-system-site-packages = false\n";
        std::fs::write(directory.path().join("pyvenv.cfg"), text).unwrap();
        assert_eq!(base_of(directory.path()), Some("/opt/python".into()));
        assert_eq!(find_home(Some(directory.path())), Some(directory.path().to_path_buf()));
    }

    #[test]
    fn a_worker_gets_no_variables_but_those_it_needs() {
        let environment = WorkerEnvironment { home: None, path: vec!["/a".into(), "/b".into()], memory: 5 };
        let names: Vec<_> = environment.variables().into_iter().map(|(name, _)| name).collect();
        let known = |name: &&str| {
            PASSED_ON.contains(name) || ["PYTHON", "DOCKET_P", "MIMALLOC"].iter().any(|start| name.starts_with(start))
        };
        assert!(names.iter().all(known), "{names:?}");
    }
}
