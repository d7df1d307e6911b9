//! Uploads into a local directory that were cut off. Until an upload is complete, its bytes lie beside their place under the
//! place's name with `#` and a number, which listing the store leaves out.

use std::io;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use uuid::Uuid;

use crate::application::ports::blob_store::{Listed, StoredObject};

/// What lies in `directory`, with its age.
pub(super) fn list(directory: &Path) -> io::Result<Vec<Listed>> {
    let entries = match std::fs::read_dir(directory.join("staged")) {
        Ok(entries) => entries,
        // Nothing was ever staged.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(staged) = name.to_str().and_then(of_upload) else { continue };
        match entry.metadata().and_then(|metadata| metadata.modified()) {
            Ok(modified) => {
                found.push(Listed { object: StoredObject::Staged(staged), stored_at: OffsetDateTime::from(modified) });
            }
            // It was completed or removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Removes what an upload left; nothing is fine. The names of uploads are fresh, so the first number is the only one.
pub(super) fn remove(directory: &Path, staged: Uuid) -> io::Result<()> {
    match std::fs::remove_file(place(directory, staged)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn place(directory: &Path, staged: Uuid) -> PathBuf {
    directory.join("staged").join(format!("{staged}#1"))
}

fn of_upload(name: &str) -> Option<Uuid> {
    let (staged, number) = name.split_once('#')?;
    (number == "1").then(|| staged.parse().ok()).flatten()
}
