//! What an import shows while it runs and afterwards: a progress bar, the file of rejected rows, a summary.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::application::bulk::escape::escape;
use crate::application::bulk::record::Reject;
use crate::application::cases::import_cases::ImportReport;
use crate::application::ports::bulk_store::Progress;

const COLUMNS: [&str; 5] = ["line", "reference", "field", "reason", "record"];

/// Tells what an import does. The bar goes to standard error and is hidden when that is no terminal.
pub struct Report {
    path: Option<PathBuf>,
    errors: Option<File>,
    /// The length of the file up to the last committed batch.
    settled: u64,
    bar: ProgressBar,
    started_with: Progress,
}

impl Report {
    /// A report on a file of `size` bytes; rejected rows go to `path`.
    pub fn new(path: Option<PathBuf>, size: u64) -> Self {
        let bar = ProgressBar::new(size);
        let template = "{bar:30} {percent:>3}%  {binary_bytes}/{binary_total_bytes}  {msg}  eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { path, errors: None, settled: 0, bar, started_with: Progress::default() }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Where the run stood when this process took it up.
    pub fn started_with(&self) -> &Progress {
        &self.started_with
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }
}

impl ImportReport for Report {
    fn begin(&mut self, progress: &Progress) -> io::Result<()> {
        self.started_with = *progress;
        self.show(progress);
        let Some(path) = &self.path else { return Ok(()) };
        // What a killed process wrote behind the last committed batch is written again; what stands before it stays.
        let kept = if progress.bytes_done > 0 { progress.errors_bytes } else { 0 };
        let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?;
        let kept = if file.metadata()?.len() >= kept { kept } else { 0 };
        file.set_len(kept)?;
        file.seek(SeekFrom::End(0))?;
        if kept == 0 {
            file.write_all(&csv_lines([COLUMNS.map(str::to_owned)])?)?;
        }
        self.settled = file.stream_position()?;
        self.errors = Some(file);
        Ok(())
    }

    fn rejected(&mut self, rejects: &[Reject]) -> io::Result<u64> {
        let Some(file) = &mut self.errors else { return Ok(0) };
        file.set_len(self.settled)?;
        file.seek(SeekFrom::End(0))?;
        if !rejects.is_empty() {
            let lines = rejects.iter().map(|reject| {
                let excerpt = reject.excerpt.trim_end_matches(['\r', '\u{fffd}']).to_owned();
                let error = &reject.error;
                [reject.line.to_string(), reject.reference.clone(), error.field.clone(), error.reason.clone(), excerpt]
            });
            file.write_all(&csv_lines(lines)?)?;
            file.sync_data()?;
        }
        file.stream_position()
    }

    fn progressed(&mut self, progress: &Progress) {
        self.settled = self.settled.max(progress.errors_bytes);
        self.show(progress);
    }
}

impl Report {
    fn show(&self, progress: &Progress) {
        self.bar.set_position(progress.bytes_done);
        let settled = progress.imported + progress.updated + progress.unchanged + progress.skipped;
        self.bar.set_message(format!("{settled} rows, {} rejected", progress.rejected));
    }
}

/// The report is opened in spreadsheets too, so its cells are protected like an export's.
fn csv_lines(lines: impl IntoIterator<Item = [String; 5]>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.write_record(line.iter().map(|cell| escape(cell).into_owned()))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// The table at the end.
pub fn summary(progress: &Progress, before: &Progress, dry_run: bool, elapsed: Duration) -> String {
    let rows = [
        ("imported", progress.imported),
        ("updated", progress.updated),
        ("unchanged", progress.unchanged),
        ("skipped", progress.skipped),
        ("rejected", progress.rejected),
    ];
    let total = |progress: &Progress| {
        progress.imported + progress.updated + progress.unchanged + progress.skipped + progress.rejected
    };
    let here = total(progress) - total(before);
    let mut text = String::new();
    if dry_run {
        text.push_str("Dry run: nothing was changed. An import would end so:\n");
    }
    if total(before) > 0 {
        let _ = writeln!(text, "Went on behind line {}, where an earlier run was cut short.", before.lines_done);
    }
    for (name, count) in rows {
        let _ = writeln!(text, "{name:<10}{count:>10}");
    }
    let _ = writeln!(text, "{:<10}{:>10}", "rows", total(progress));
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = here as f64 / elapsed.as_secs_f64().max(0.001);
    let _ = writeln!(text, "{here} rows in {:.2} s ({rate:.0} rows/s)", elapsed.as_secs_f64());
    text
}
