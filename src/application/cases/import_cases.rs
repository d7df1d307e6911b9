//! Imports cases from a file: batch by batch, each batch with its audit records, events and progress in one transaction.
//!
//! The steps: 1. open the run, or the one that was cut short; 2. read batches on a thread of their own; 3. look up the
//! references of a batch; 4. decide for each row: new, changed, the same; 5. write the batch in a transaction, and decide
//! again if somebody changed one of its cases meanwhile; 6. report what is not taken in; 7. commit batch and progress. Steps 3
//! to 5 run for several batches at once; the last two in the order of the file, one batch after the other.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use docket_domain::calendar::Calendar;
use docket_domain::case::{Case, EventType};
use docket_domain::named_enum;
use futures::{StreamExt as _, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::calendars::Calendars;
use super::write_draft::{Act, Decision, accepted};
use crate::application::bulk::batches::{self, Batch, Good};
use crate::application::bulk::file_rows::{FileError, FileRows};
use crate::application::bulk::format::{Encoding, Format};
use crate::application::bulk::mapping::Mapping;
use crate::application::bulk::record::{Reject, RowError};
use crate::application::ports::bulk_store::{BatchCommit, BatchWrite, Progress, Run, RunKey, RunStep, StagedBatch};
use crate::application::ports::case_store::{CaseWrite, RowChange, StoredCase};
use crate::application::ports::{BulkStore, Clock, StoreError};
use crate::application::request::Caller;

/// Attempts at a batch whose cases others keep changing.
const ATTEMPTS: usize = 5;

/// New cases after which the store counts anew for the first time; then after eight times as many, and so on.
const COUNT_AFTER: u64 = 2_000;

/// Batches that may lie read and not yet written.
const READ_AHEAD: usize = 2;

/// Batches that are written at once, each on a connection of its own.
const WRITERS: usize = 3;

named_enum! {
    /// What becomes of a row whose reference exists with other content.
    OnConflict, "answer to a conflict" {
        /// The case stays as it is; the row is reported.
        Skip = "skip",
        /// The case becomes what the file says; the change is audited.
        Update = "update",
        /// The import stops before the batch that holds the row.
        Fail = "fail",
    }
}

/// What to import and how.
#[derive(Debug, Clone)]
pub struct ImportPlan {
    /// What the columns mean.
    pub mapping: Arc<Mapping>,
    /// The form of the file.
    pub format: Format,
    /// How its bytes become text.
    pub encoding: Encoding,
    /// Rows in a batch, at least 1.
    pub batch: usize,
    /// What becomes of rows whose case exists with other content.
    pub on_conflict: OnConflict,
    /// Judge only, change nothing.
    pub dry_run: bool,
    /// Go on where an earlier run of the same file and plan was cut short.
    pub resume: bool,
    /// The name of the file, for the run and the audit trail.
    pub file_name: String,
    /// SHA-256 of its bytes.
    pub file_sha256: [u8; 32],
}

impl ImportPlan {
    fn key(&self) -> RunKey {
        let mut hasher = Sha256::new();
        hasher.update(self.mapping.digest);
        hasher.update(self.format.as_str());
        hasher.update([0]);
        hasher.update(self.encoding.as_str());
        RunKey {
            file_sha256: self.file_sha256,
            plan_sha256: hasher.finalize().into(),
            file_name: self.file_name.clone(),
        }
    }
}

/// Where an import tells what it does.
pub trait ImportReport: Send {
    /// Called once: the progress of the run that is continued, all zero for a new one.
    fn begin(&mut self, progress: &Progress) -> io::Result<()>;
    /// Called before a batch is committed with what was not taken in; returns the length of the report in bytes, which must
    /// be durable then.
    fn rejected(&mut self, rejects: &[Reject]) -> io::Result<u64>;
    /// Called after each batch.
    fn progressed(&mut self, progress: &Progress);
}

/// Why an import stopped. What was committed stays; the run can be continued.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read as a whole.
    #[error(transparent)]
    File(#[from] FileError),
    /// A case exists with other content, and the plan says to stop then.
    #[error(
        "line {line}: the case `{reference}` exists with other content ({fields}); nothing of this batch was imported"
    )]
    Conflict {
        /// The line.
        line: u64,
        /// The reference.
        reference: String,
        /// What differs.
        fields: String,
    },
    /// The report of rejected rows cannot be written.
    #[error("cannot write the report of rejected rows")]
    Report(#[source] io::Error),
    /// The same file is being imported by another process.
    #[error("another process is importing the same file")]
    RunTaken,
    /// The cases of a batch change too quickly.
    #[error("the cases of this file are changing too quickly; try again")]
    Contention,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports cases.
#[derive(Clone)]
pub struct ImportCases {
    /// Where they go.
    pub store: Arc<dyn BulkStore>,
    /// Time and identifiers.
    pub clock: Arc<dyn Clock>,
    /// What deadlines are reckoned by.
    pub calendars: Calendars,
}

/// A batch, what was decided on it, and where it is written; nowhere in a dry run, and when somebody was faster.
struct Prepared {
    batch: Batch,
    draft: Draft,
    staged: Option<Box<dyn StagedBatch>>,
}

/// What a batch will write.
#[derive(Default)]
struct Draft {
    inserts: Vec<CaseWrite>,
    updates: Vec<CaseWrite>,
    /// Numbers of new and changed cases; a dry run drafts no writes.
    imported: u64,
    updated: u64,
    unchanged: u64,
    conflicts: Vec<Reject>,
}

impl ImportCases {
    /// Imports everything that `source` holds; see the steps at the top of this file. The caller is the system actor of the
    /// tenant.
    pub async fn run<R: Read + Send + 'static>(
        &self,
        caller: &Caller,
        plan: &ImportPlan,
        source: R,
        report: &mut dyn ImportReport,
    ) -> Result<Progress, ImportError> {
        let run = self.open(caller, plan).await?;
        let mut progress = run.progress;
        report.begin(&progress).map_err(ImportError::Report)?;
        let calendar = self.calendars.rules(caller.actor.tenant_id).await?;
        let batches = self.read(plan, calendar, source, progress.bytes_done);
        let mut prepared = std::pin::pin!(
            stream::unfold(batches, async |mut batches| Some((batches.recv().await?, batches)))
                .map(|batch| self.prepare(caller, plan, &run, batch))
                .buffered(WRITERS)
        );
        let mut count_at = progress.imported + COUNT_AFTER;
        while let Some(next) = prepared.next().await {
            progress = self.settle(caller, plan, &run, progress, next?, report).await?;
            report.progressed(&progress);
            if progress.imported >= count_at && !plan.dry_run {
                count_at = progress.imported * 8;
                self.store.refresh_statistics().await?;
            }
        }
        if !plan.dry_run {
            let end = self.stage(caller, &Draft::default()).await?.ok_or(ImportError::Contention)?;
            self.commit(end, &run, progress, progress, true).await?;
        }
        Ok(progress)
    }

    async fn open(&self, caller: &Caller, plan: &ImportPlan) -> Result<Run, ImportError> {
        let fresh = self.clock.new_id();
        if plan.dry_run {
            return Ok(Run { id: fresh, progress: Progress::default() });
        }
        let tenant = caller.actor.tenant_id;
        Ok(self.store.open_run(tenant, &plan.key(), fresh, plan.resume, self.clock.now()).await?)
    }

    fn read<R: Read + Send + 'static>(
        &self,
        plan: &ImportPlan,
        calendar: Arc<Calendar>,
        source: R,
        done: u64,
    ) -> mpsc::Receiver<Result<Batch, FileError>> {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let (plan, clock) = (plan.clone(), self.clock.clone());
        tokio::task::spawn_blocking(move || {
            match FileRows::open(source, plan.format, plan.encoding, &plan.mapping, &calendar, clock.now()) {
                Ok(rows) => batches::send(rows, plan.batch.max(1), done, &*clock, &sender),
                Err(error) => drop(sender.blocking_send(Err(error))),
            }
        });
        receiver
    }

    /// Looks the references of a batch up, decides on each row and writes the batch up to its commit. Runs beside the batches
    /// before and after, which cannot hold any of these references.
    async fn prepare(
        &self,
        caller: &Caller,
        plan: &ImportPlan,
        run: &Run,
        batch: Result<Batch, FileError>,
    ) -> Result<Prepared, ImportError> {
        let batch = batch?;
        let draft = self.decide(caller, plan, run, &batch).await?;
        let staged = if plan.dry_run { None } else { self.stage(caller, &draft).await? };
        Ok(Prepared { batch, draft, staged })
    }

    async fn decide(&self, caller: &Caller, plan: &ImportPlan, run: &Run, batch: &Batch) -> Result<Draft, ImportError> {
        let references: Vec<String> = batch.good.iter().map(|row| row.record.reference.clone()).collect();
        let existing = self.store.by_reference(caller.actor.tenant_id, &references).await?;
        let calendar = self.calendars.rules(caller.actor.tenant_id).await?;
        self.draft(caller, (plan, &calendar), run, &batch.good, existing)
    }

    /// Reports and commits a batch; the progress with it.
    async fn settle(
        &self,
        caller: &Caller,
        plan: &ImportPlan,
        run: &Run,
        before: Progress,
        prepared: Prepared,
        report: &mut dyn ImportReport,
    ) -> Result<Progress, ImportError> {
        let Prepared { batch, mut draft, mut staged } = prepared;
        for _ in 1..ATTEMPTS {
            if staged.is_some() || plan.dry_run {
                break;
            }
            draft = self.decide(caller, plan, run, &batch).await?;
            staged = self.stage(caller, &draft).await?;
        }
        let mut rejects = batch.rejects;
        let skipped = draft.conflicts.len() as u64;
        rejects.append(&mut draft.conflicts);
        rejects.sort_by_key(|reject| reject.line);
        let errors_bytes = report.rejected(&rejects).map_err(ImportError::Report)?;
        let after = Progress {
            bytes_done: batch.end,
            lines_done: batch.line,
            errors_bytes,
            imported: before.imported + draft.imported,
            updated: before.updated + draft.updated,
            unchanged: before.unchanged + draft.unchanged,
            skipped: before.skipped + skipped,
            rejected: before.rejected + batch.rejected,
        };
        if !plan.dry_run {
            self.commit(staged.ok_or(ImportError::Contention)?, run, before, after, false).await?;
        }
        Ok(after)
    }

    async fn stage(&self, caller: &Caller, draft: &Draft) -> Result<Option<Box<dyn StagedBatch>>, StoreError> {
        let (inserts, updates) = (draft.inserts.as_slice(), draft.updates.as_slice());
        self.store.stage(&BatchWrite { tenant_id: caller.actor.tenant_id, inserts, updates }).await
    }

    async fn commit(
        &self,
        staged: Box<dyn StagedBatch>,
        run: &Run,
        before: Progress,
        after: Progress,
        finished: bool,
    ) -> Result<(), ImportError> {
        let step = RunStep { run_id: run.id, before, after, now: self.clock.now(), finished };
        match staged.commit(&step).await? {
            BatchCommit::Done => Ok(()),
            BatchCommit::RunTaken => Err(ImportError::RunTaken),
        }
    }

    fn draft(
        &self,
        caller: &Caller,
        (plan, calendar): (&ImportPlan, &Calendar),
        run: &Run,
        rows: &[Good],
        existing: Vec<StoredCase>,
    ) -> Result<Draft, ImportError> {
        let mut existing: HashMap<String, StoredCase> =
            existing.into_iter().map(|stored| (stored.case.reference.clone(), stored)).collect();
        let now = self.clock.now();
        let mut caller = caller.clone();
        let mut draft = Draft::default();
        for Good { line, new: (id, read_at), record } in rows {
            let record = record.clone();
            let stored = existing.remove(&record.reference);
            let next = match &stored {
                None => record.into_case(*id, caller.actor.tenant_id, *read_at, calendar),
                Some(stored) => match record.changed(&stored.case, now, calendar) {
                    None => {
                        draft.unchanged += 1;
                        continue;
                    }
                    Some(next) if plan.on_conflict == OnConflict::Update => next,
                    Some(next) => {
                        let fields = differences(&stored.case, &next);
                        let reference = next.reference;
                        if plan.on_conflict == OnConflict::Fail {
                            return Err(ImportError::Conflict { line: *line, reference, fields });
                        }
                        draft.conflicts.push(conflict(*line, reference, &fields));
                        continue;
                    }
                },
            };
            if stored.is_some() {
                draft.updated += 1;
            } else {
                draft.imported += 1;
            }
            if plan.dry_run {
                continue;
            }
            caller.request_id = format!("import-{}-{line}", run.id.simple());
            let reason = format!("{}, line {line}", plan.file_name);
            let at = if stored.is_some() { now } else { *read_at };
            let write = self.drafted(&caller, stored.as_ref(), next, reason, at)?;
            if stored.is_some() { draft.updates.push(write) } else { draft.inserts.push(write) }
        }
        Ok(draft)
    }

    fn drafted(
        &self,
        caller: &Caller,
        stored: Option<&StoredCase>,
        case: Case,
        reason: String,
        now: time::OffsetDateTime,
    ) -> Result<CaseWrite, StoreError> {
        let event_id: Uuid = self.clock.new_id();
        let act = Act { caller, claim: None, rendered: None, now, key_expires_at: now, event_id, completes: None };
        let decision = Decision {
            change: if stored.is_some() { RowChange::Fields } else { RowChange::Insert },
            case,
            action: "case.import".to_owned(),
            event_type: Some(EventType::CaseImported),
            reason: Some(reason),
            attachments: Vec::new(),
            created: None,
            enqueues: Vec::new(),
        };
        accepted(&act, stored, decision)
    }
}

/// The members in which two versions of a case differ, but for version and time of change.
fn differences(before: &Case, after: &Case) -> String {
    let (Ok(before), Ok(after)) = (serde_json::to_value(before), serde_json::to_value(after)) else {
        return String::new();
    };
    let (_, changed, _) = docket_domain::audit::record::changes(&before, &after);
    let names = changed.as_object().into_iter().flat_map(|members| members.keys());
    names.filter(|name| !matches!(name.as_str(), "version" | "updated_at")).cloned().collect::<Vec<_>>().join(", ")
}

fn conflict(line: u64, reference: String, fields: &str) -> Reject {
    let reason = format!("exists with other content ({fields}) and was left as it is; --on-conflict update changes it");
    Reject { line, reference, error: RowError { field: "reference".to_owned(), reason }, excerpt: String::new() }
}
