//! Give notice of a deadline: warn at 75 % and 90 % of its working time, record the breach, escalate what was breached.
//!
//! A notice is decided on the case as it is, under its optimistic lock, so that two who look at the same time give it once, and
//! an extension or a question that was faster is heard. The escalation is a job that is committed with the
//! breach and ends with its own effect: it happens once, or the record says why the rules refused it.

use docket_domain::case::{Case, Command, CommandInput, EventType, Notice, Notices, deadline, decide};
use docket_domain::ids::{CaseId, JobId, PrincipalId};
use docket_domain::job::{JobKind, JobLease, Priority};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::system_act::{Acted, SystemAct};
use super::transition_case::action_name;
use super::unit_of_work::{CaseWriting, plain};
use super::write_draft::Decision;
use crate::application::error::UseCaseError;
use crate::application::ports::StoreError;
use crate::application::ports::case_store::RowChange;
use crate::application::ports::job_store::NewJob;
use crate::application::request::Caller;
use crate::telemetry::deadlines::{ESCALATIONS, NOTICES};

/// The kind of the job that escalates a breached case.
pub const ESCALATION: &str = "escalate_breached_case";

/// More notices than this are never owed of one case at a time: two warnings and a breach.
const NOTICES_MAX: usize = 3;

/// Which breach leads to an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breach {
    /// The case.
    pub case_id: CaseId,
    /// When the breach was recorded; tells it from that of a later deadline of the case.
    #[serde(with = "time::serde::rfc3339")]
    pub breached_at: OffsetDateTime,
}

/// Gives every notice that is owed of a case now, in order, each as an act of its own; which they were.
pub async fn give_notices(
    writing: &CaseWriting,
    caller: &Caller,
    case_id: CaseId,
) -> Result<Vec<Notice>, UseCaseError> {
    let calendar = writing.calendars.rules(caller.actor.tenant_id).await?;
    let kind: JobKind = ESCALATION.parse().map_err(StoreError::internal)?;
    let mut given = Vec::new();
    while given.len() < NOTICES_MAX {
        let mut owed = None;
        let act = SystemAct { caller, case_id, action: "case.deadline", completes: None };
        let acted = writing.act_as_system(act, |case, now| {
            owed = deadline::owed(case, now);
            Ok(owed.map(|notice| {
                let next = deadline::give(case, notice, now, &calendar);
                let escalation = next.notices.breached_at.filter(|_| notice == Notice::Breached);
                let job = escalation.map(|breached_at| NewJob {
                    id: JobId(writing.clock.new_id()),
                    tenant_id: case.tenant_id,
                    kind: kind.clone(),
                    payload: serde_json::to_value(Breach { case_id, breached_at }).unwrap_or_default(),
                    priority: Priority::High,
                    run_at: None,
                    unique_key: None,
                    requested_by: PrincipalId::SYSTEM,
                    traceparent: caller.traceparent.clone(),
                });
                let (action, reason) = (notice.action().to_owned(), Some(reason(case)));
                let decision = plain(RowChange::Lifecycle, next, action, notice.event_type(), reason);
                Decision { enqueues: job.into_iter().collect(), ..decision }
            }))
        });
        match (acted.await?, owed) {
            (Acted::Done(_), Some(notice)) => {
                metrics::counter!(NOTICES, "notice" => notice.as_str()).increment(1);
                given.push(notice);
            }
            _ => break,
        }
    }
    Ok(given)
}

/// Escalates a case whose deadline was breached, by the same rules as anybody; ends the job with the effect or with the
/// record of the refusal. Nothing is done when the case has got another deadline since.
pub async fn escalate_breached(
    writing: &CaseWriting,
    caller: &Caller,
    breach: Breach,
    job: JobLease,
) -> Result<Acted, UseCaseError> {
    let calendar = writing.calendars.rules(caller.actor.tenant_id).await?;
    let action = action_name(Command::Escalate);
    let act = SystemAct { caller, case_id: breach.case_id, action: &action, completes: Some(job) };
    let acted = writing.act_as_system(act, |case, now| {
        if case.notices.breached_at != Some(breach.breached_at) {
            return Ok(None);
        }
        let reason = Some(reason(case));
        let input = CommandInput { reason: reason.clone(), ..CommandInput::default() };
        let next = decide(case, Command::Escalate, &input, &caller.actor, now, &calendar)?;
        Ok(Some(plain(RowChange::Lifecycle, next, action.clone(), EventType::CaseEscalated, reason)))
    });
    let acted = acted.await?;
    let outcome = match acted {
        Acted::Done(_) => "escalated",
        Acted::Refused(_) => "refused",
        Acted::Nothing => "moot",
    };
    metrics::counter!(ESCALATIONS, "outcome" => outcome).increment(1);
    Ok(acted)
}

/// What the record says of the deadline.
fn reason(case: &Case) -> String {
    let Notices { breached_at, .. } = case.notices;
    let due = case.due_at.and_then(|due| due.format(&Rfc3339).ok()).unwrap_or_default();
    if breached_at.is_some() { format!("the deadline {due} passed") } else { format!("due at {due}") }
}
