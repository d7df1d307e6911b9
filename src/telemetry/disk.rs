//! The room on the file system under `data_dir`: keys, evidence and, when it is embedded, the database.

use std::path::PathBuf;
use std::time::Duration;

use super::dependencies::{DISK_FREE, DISK_SIZE};

/// Shows the room every five seconds, until it is dropped. A directory that cannot be asked shows what it last showed.
pub async fn observe(directory: PathBuf) {
    let mut ticks = tokio::time::interval(Duration::from_secs(5));
    loop {
        ticks.tick().await;
        if let Ok(room) = rustix::fs::statvfs(&directory) {
            #[allow(clippy::cast_precision_loss, reason = "a gauge")]
            let bytes = |blocks: u64| blocks.saturating_mul(room.f_frsize) as f64;
            // What an ordinary user may still take; root's reserve does not help PostgreSQL.
            metrics::gauge!(DISK_FREE).set(bytes(room.f_bavail));
            metrics::gauge!(DISK_SIZE).set(bytes(room.f_blocks));
        }
    }
}
