//! Rows in batches, read on a thread of their own so that reading and writing go on side by side.

use std::io::Read;

use docket_domain::ids::CaseId;
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::file_rows::{FileError, FileRows};
use super::record::{ImportRecord, Reject};
use crate::application::ports::Clock;

/// A batch is closed early when its rows together have this many bytes, so that large rows do not pile up.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// A row that can be taken in.
#[derive(Debug)]
pub struct Good {
    /// Its line.
    pub line: u64,
    /// The identifier of its case if there is none yet, and when that case begins to exist: batches are written side by side,
    /// and new cases shall stand in the order of the file all the same.
    pub new: (CaseId, OffsetDateTime),
    /// What it says.
    pub record: ImportRecord,
}

/// Some rows in the order of the file.
#[derive(Debug, Default)]
pub struct Batch {
    /// The good ones.
    pub good: Vec<Good>,
    /// What was wrong with the others.
    pub rejects: Vec<Reject>,
    /// The number of rows that were rejected (one may have several mistakes).
    pub rejected: u64,
    /// Everything before this byte of the file belongs to this batch or an earlier one.
    pub end: u64,
    /// The line of the last row.
    pub line: u64,
}

/// Reads to the end and sends batches of `size` rows; rows that end at or before `done` are read, because their
/// references count, but not sent. Stops when nobody receives any more.
pub fn send<R: Read>(
    mut rows: FileRows<'_, R>,
    size: usize,
    done: u64,
    clock: &dyn Clock,
    sender: &mpsc::Sender<Result<Batch, FileError>>,
) {
    let mut batch = Batch::default();
    let (mut count, mut bytes) = (0, 0);
    loop {
        match rows.next_row() {
            Err(error) => {
                let _ = sender.blocking_send(Err(error.into()));
                return;
            }
            Ok(None) => break,
            Ok(Some(row)) if row.end <= done => {}
            Ok(Some(row)) => {
                (batch.end, batch.line) = (row.end, row.line);
                (count, bytes) = (count + 1, bytes + row.size.min(BATCH_BYTES));
                match row.outcome {
                    Ok(record) => {
                        let new = (CaseId(clock.new_id()), clock.now());
                        batch.good.push(Good { line: row.line, new, record });
                    }
                    Err(rejects) => {
                        batch.rejects.extend(rejects);
                        batch.rejected += 1;
                    }
                }
            }
        }
        if count >= size || bytes >= BATCH_BYTES {
            (count, bytes) = (0, 0);
            if sender.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return;
            }
        }
    }
    if count > 0 {
        let _ = sender.blocking_send(Ok(batch));
    }
}
