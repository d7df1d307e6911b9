//! Committed text that a test regenerates and compares; `UPDATE_SNAPSHOTS=1` rewrites it.

use std::path::{Path, PathBuf};

/// The directory of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Asserts that the file holds `fresh`, or rewrites it when asked to.
#[track_caller]
pub fn assert_fresh(file: &Path, fresh: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(file, fresh).expect("the snapshot can be written");
        return;
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    let line = committed.lines().zip(fresh.lines()).position(|(old, new)| old != new);
    let line = line.unwrap_or_else(|| committed.lines().count().min(fresh.lines().count()));
    assert!(
        committed == fresh,
        "{} is stale from line {}; expected there: {:?}; rewrite it with UPDATE_SNAPSHOTS=1 and read the difference",
        file.display(),
        line + 1,
        fresh.lines().nth(line).unwrap_or("(the end)"),
    );
}
