//! Where the model and ONNX Runtime are: named directories, or the virtual environment that `make venv` fills.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::EmbeddingSettings;

/// Inside a virtual environment; written by `scripts/export_model.py`.
const MODEL: &str = "share/docket/models/all-MiniLM-L6-v2";

/// The graph in single precision, and the one with its products in whole numbers.
const GRAPH: &str = "model.onnx";
const QUANTISED: &str = "model-int8.onnx";

/// Inside `site-packages`: the wheel `onnxruntime`.
const LIBRARY_DIRECTORY: &str = "onnxruntime/capi";

/// Files that exist.
#[derive(Debug, Clone)]
pub(super) struct ModelFiles {
    pub(super) directory: PathBuf,
    pub(super) library: PathBuf,
    /// Whether scales are taken from what is computed together, so that texts must not be.
    pub(super) quantised: bool,
}

impl ModelFiles {
    /// Finds both, or says in words what is missing. What is named is used or refused, never passed over.
    pub(super) fn find(settings: &EmbeddingSettings) -> Result<Self, String> {
        let (model_dir, library) = (settings.model_dir.as_deref(), settings.library.as_deref());
        let environments = virtual_environments();
        let directory = match model_dir {
            Some(named) => named.to_path_buf(),
            None => first(environments.iter().map(|environment| environment.join(MODEL)), Path::is_dir)
                .ok_or_else(|| format!("no {MODEL} in a virtual environment: run `make venv`"))?,
        };
        let quantised = settings.quantised;
        for name in [if quantised { QUANTISED } else { GRAPH }, "tokenizer.json", "config.json"] {
            if !directory.join(name).is_file() {
                return Err(format!("{} is missing in {}", name, directory.display()));
            }
        }
        let library = match library {
            Some(named) => named.to_path_buf(),
            None => environments.iter().find_map(|environment| library_in(environment)).ok_or_else(|| {
                "ONNX Runtime (the wheel onnxruntime) is not in a virtual environment: run `make venv`".to_owned()
            })?,
        };
        if !library.is_file() {
            return Err(format!("{} is not a file (embedding.library)", library.display()));
        }
        Ok(Self { directory, library, quantised })
    }

    pub(super) fn graph(&self) -> PathBuf {
        self.directory.join(if self.quantised { QUANTISED } else { GRAPH })
    }

    pub(super) fn tokenizer(&self) -> PathBuf {
        self.directory.join("tokenizer.json")
    }

    /// SHA-256 over what makes vectors what they are: the graph with its weights, and the tokenizer, by their contents alone.
    pub(super) fn identity(&self) -> Result<String, String> {
        let mut all = Sha256::new();
        for path in [self.graph(), self.tokenizer()] {
            all.update(sha256(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        Ok(hex::encode(all.finalize()))
    }

    /// The length of a vector, from the model's configuration.
    pub(super) fn width(&self) -> Result<usize, String> {
        let path = self.directory.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let width = value.get("hidden_size").and_then(serde_json::Value::as_u64);
        let width = width.and_then(|width| usize::try_from(width).ok()).filter(|width| *width > 0);
        width.ok_or_else(|| format!("{}: hidden_size is missing", path.display()))
    }
}

fn sha256(path: &Path) -> std::io::Result<[u8; 32]> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hash.finalize().into());
        }
        hash.update(&buffer[..read]);
    }
}

fn first(mut paths: impl Iterator<Item = PathBuf>, fits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    paths.find(|path| fits(path))
}

/// The shared library with the highest version of its name.
fn library_in(environment: &Path) -> Option<PathBuf> {
    let pythons = entries(&environment.join("lib")).into_iter().filter(|path| named(path, "python3"));
    let mut found: Vec<PathBuf> = pythons
        .flat_map(|python| entries(&python.join("site-packages").join(LIBRARY_DIRECTORY)))
        .filter(|path| named(path, "libonnxruntime.so") || named(path, "libonnxruntime.dylib"))
        .collect();
    found.sort();
    found.pop()
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// The working directory's `.venv`, that of each directory above the executable, and the activated one.
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
    environments
}
