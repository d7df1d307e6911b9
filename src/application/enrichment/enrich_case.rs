//! Enrich a case: the job that asks the register about a respondent and writes its answer down with the job's own end.
//!
//! At-least-once in, exactly-once out: an event whose answer is written already is done; the answer, its audit record, its
//! event and the end of the job are one transaction; and a unique index over the event stands behind both.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::case::{Case, EventType, RegisterEntry, register};
use docket_domain::ids::{CaseId, EventId, RegisterEntryId};
use docket_domain::job::RetryPolicy;
use serde_json::Value;
use uuid::Uuid;

use super::guarded_register::GuardedRegister;
use crate::application::cases::CaseWriting;
use crate::application::cases::unit_of_work::{ChangeRequest, plain};
use crate::application::error::UseCaseError;
use crate::application::jobs::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use crate::application::ports::RegisterEntries;
use crate::application::ports::case_store::{Attachment, RowChange};
use crate::application::ports::company_register::RegisterError;
use crate::application::request::{IfMatch, Presenter, Rendered};

/// The kind.
pub const ENRICH_CASE: &str = "enrich_case";
/// Answers looked at to see whether there is one for the event or the respondent.
const ANSWERS_SEEN: u32 = 50;
/// How often the answer is written anew because the case moved; afterwards the job is tried again.
const WRITES: u32 = 5;
/// The shortest time that a register which is down is left alone.
const LEAVE_ALONE: Duration = Duration::from_secs(1);
/// The longest, whatever the register asks for: it may be back long before.
const AT_MOST: Duration = Duration::from_hours(1);

/// Asks about the respondent of the case in the payload.
pub struct EnrichCase {
    /// The one way to write cases.
    pub writing: CaseWriting,
    /// What the register said before.
    pub entries: Arc<dyn RegisterEntries>,
    /// The register.
    pub register: Arc<GuardedRegister>,
    /// Jobs at once in this process.
    pub concurrency: usize,
}

/// What is to be done for an event.
enum Task {
    /// Nothing (any more).
    Nothing,
    /// Ask about the respondent of this case.
    Ask(Box<Case>),
}

#[async_trait]
impl JobHandler for EnrichCase {
    fn spec(&self) -> KindSpec {
        KindSpec {
            concurrency: self.concurrency,
            timeout: Duration::from_mins(2),
            retry: RetryPolicy { max_attempts: 12, base: Duration::from_secs(2), cap: Duration::from_mins(10) },
            ..KindSpec::new(ENRICH_CASE, "Asks the company register about the respondent of a case.")
        }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        ids(payload).map(drop)
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        let (case_id, event_id) = ids(payload).map_err(JobError::Fatal)?;
        let Task::Ask(case) = self.task(context, case_id, event_id).await? else { return Ok(Outcome::Done) };
        let asked_name = case.respondent.clone();
        let company = tokio::select! {
            answer = self.register.look_up(&asked_name) => answer.map_err(|error| self.failure(&error))?,
            () = context.cancelled.cancelled() => return Err(JobError::Cancelled),
        };
        let entry = RegisterEntry { asked_name, company };
        let mut version = case.version;
        for _ in 0..WRITES {
            match self.write(context, case_id, event_id, version, &entry).await {
                Ok(()) => return Ok(Outcome::Committed),
                // Somebody else worked on the case meanwhile, or on this very event.
                Err(UseCaseError::PreconditionFailed { .. } | UseCaseError::Duplicate(_)) => {
                    match self.task(context, case_id, event_id).await? {
                        Task::Ask(moved) if moved.respondent == entry.asked_name => version = moved.version,
                        // Its own event says that the respondent is another one now.
                        Task::Ask(_) | Task::Nothing => return Ok(Outcome::Done),
                    }
                }
                // Decided or closed in the last moment: nobody works with the answer any more.
                Err(UseCaseError::Refused { .. } | UseCaseError::NotFound(_)) => return Ok(Outcome::Done),
                Err(other) => return Err(other.into()),
            }
        }
        Err(JobError::retry("the case was changed again and again meanwhile"))
    }
}

impl EnrichCase {
    /// Looks at the case as it is now: whether there is still something to ask for this event.
    async fn task(&self, context: &JobContext, case_id: CaseId, event_id: EventId) -> Result<Task, JobError> {
        let tenant = context.tenant_id();
        let Some(stored) = self.writing.store.load(tenant, case_id, None).await?.case else { return Ok(Task::Nothing) };
        let case = stored.case;
        if !register::is_worth_asking(case.state) || case.respondent.is_empty() {
            return Ok(Task::Nothing);
        }
        let known = self.entries.of_case(tenant, case_id, ANSWERS_SEEN).await?;
        let answered = known.iter().any(|answer| answer.event_id == event_id);
        let same_name = known.first().is_some_and(|newest| newest.entry.asked_name == case.respondent);
        Ok(if answered || same_name { Task::Nothing } else { Task::Ask(Box::new(case)) })
    }

    /// What a failure of the register means for the job. A register that is down, or asks to be left alone, is waited for
    /// without counting. A single failure counts, or a question that makes the register hang would be asked for ever.
    fn failure(&self, error: &RegisterError) -> JobError {
        let (reason, down) = (error.to_string(), self.register.is_down());
        match error {
            RegisterError::Unavailable { retry_after: Some(after), .. } => {
                JobError::Postponed { reason, after: (*after).clamp(LEAVE_ALONE, AT_MOST) }
            }
            RegisterError::Unavailable { .. } | RegisterError::Garbage(_) if down => {
                JobError::Postponed { reason, after: LEAVE_ALONE }
            }
            RegisterError::Unavailable { .. } | RegisterError::Garbage(_) => JobError::retry(reason),
            RegisterError::Refused(_) => JobError::Fatal(reason),
        }
    }

    async fn write(
        &self,
        context: &JobContext,
        case_id: CaseId,
        event_id: EventId,
        version: u64,
        entry: &RegisterEntry,
    ) -> Result<(), UseCaseError> {
        let caller = context.caller();
        let request = ChangeRequest {
            caller: &caller,
            case_id,
            if_match: IfMatch::Version(version),
            claim: None,
            dry_run: false,
            presenter: &Unseen,
            action: "case.enrich",
            completes: Some(context.lease),
        };
        let (actor, ids) = (&caller.actor, self.writing.clock.clone());
        let authorize = |_: &Case| Ok(());
        let decide = |case: &Case, now| {
            let next = register::record(case, entry, actor, now).map_err(UseCaseError::refused)?;
            let id = ids.new_id();
            let (action, reason) = ("case.enrich".to_owned(), Some(entry.summary()));
            let mut decision = plain(RowChange::Lifecycle, next, action, EventType::CaseEnriched, reason);
            let (entry, row) = (entry.clone(), RegisterEntryId(id));
            decision.attachments = vec![Attachment::RegisterEntry { id: row, event_id, entry }];
            decision.created = Some(id);
            Ok(decision)
        };
        self.writing.change(request, authorize, decide).await.map(drop)
    }
}

fn ids(payload: &Value) -> Result<(CaseId, EventId), String> {
    let id = |name: &str| {
        let text = payload[name].as_str().ok_or(format!("`{name}` is missing"))?;
        text.parse::<Uuid>().map_err(|_| format!("`{name}` is no identifier"))
    };
    Ok((CaseId(id("case_id")?), EventId(id("event_id")?)))
}

/// Words answers that nobody reads: the act is docket's own.
struct Unseen;

impl Presenter for Unseen {
    fn changed(&self, case: &Case, _: Option<Uuid>) -> Rendered {
        Rendered { status: 200, etag: Some(case.etag()), location: None, body: String::new() }
    }

    fn refused(&self, _: &docket_domain::case::Refusal) -> Rendered {
        Rendered { status: 409, etag: None, location: None, body: String::new() }
    }
}
