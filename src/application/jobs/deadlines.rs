//! Deadlines as jobs: a sweep every minute that gives the notices that are owed, and the escalation of a breached case.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::principal::{Actor, Role, Roles};
use futures::StreamExt;
use serde_json::{Value, json};

use super::handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use super::maintenance::no_payload;
use crate::application::cases::CaseWriting;
use crate::application::cases::give_notice::{Breach, ESCALATION, escalate_breached, give_notices};
use crate::application::cases::system_act::Acted;
use crate::application::ports::DeadlineWatch;
use crate::application::ports::deadline_watch::DueNotice;
use crate::application::request::Caller;
use crate::telemetry::deadlines::NOTICES_FAILED;

/// The kind, and the name of the schedule, of the sweep.
pub const WATCH: &str = "watch_deadlines";
/// Cases that one look finds.
const BATCH: u32 = 500;
/// Looks in one sweep: what is left after so many waits for the next minute, so that a sweep has an end.
const LOOKS: u32 = 20;
/// Cases that are worked on at once.
const AT_ONCE: usize = 4;

/// Gives every notice that is owed, over all tenants.
pub struct WatchDeadlines {
    /// Finds the cases.
    pub watch: Arc<dyn DeadlineWatch>,
    /// Writes them; its clock says what is owed.
    pub writing: CaseWriting,
}

#[async_trait]
impl JobHandler for WatchDeadlines {
    fn spec(&self) -> KindSpec {
        let about = "Warns of deadlines at 75 % and 90 % of their working time and records their breach.";
        let enqueued_by = Roles::of(&[Role::Operator]);
        let spec = KindSpec::new(WATCH, about);
        KindSpec { concurrency: 1, timeout: Duration::from_mins(10), keeps_results: true, enqueued_by, ..spec }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        no_payload(payload)
    }

    async fn run(&self, context: &JobContext, _: &Value) -> Result<Outcome, JobError> {
        let now = self.writing.clock.now();
        let (mut given, mut failed, mut after) = (0_u64, 0_u64, None);
        for _ in 0..LOOKS {
            context.go_on()?;
            let due = self.watch.due(now, after, BATCH).await?;
            let mut ends =
                futures::stream::iter(due.clone()).map(|due| self.notify(context, due)).buffer_unordered(AT_ONCE);
            while let Some(end) = ends.next().await {
                match end {
                    Ok(notices) => given += notices,
                    Err(()) => failed += 1,
                }
            }
            drop(ends);
            // A case that failed is passed by, so that it holds up no other; the next sweep tries it again.
            after = due.last().copied();
            if due.len() < BATCH as usize {
                break;
            }
        }
        let nothing = given == 0 && failed == 0;
        Ok(if nothing { Outcome::Done } else { Outcome::DoneWith(json!({"given": given, "failed": failed})) })
    }
}

impl WatchDeadlines {
    /// Gives what is owed of one case; how many notices. What went wrong is logged and counted.
    async fn notify(&self, context: &JobContext, due: DueNotice) -> Result<u64, ()> {
        let caller = Caller { actor: Actor::system(due.tenant_id), ..context.caller() };
        match give_notices(&self.writing, &caller, due.case_id).await {
            Ok(given) => Ok(given.len() as u64),
            Err(error) => {
                tracing::error!(case = %due.case_id, "a notice of a deadline could not be given: {error}");
                metrics::counter!(NOTICES_FAILED).increment(1);
                Err(())
            }
        }
    }
}

/// Escalates a case whose deadline was breached.
pub struct EscalateBreachedCase {
    /// Writes the case.
    pub writing: CaseWriting,
}

#[async_trait]
impl JobHandler for EscalateBreachedCase {
    fn spec(&self) -> KindSpec {
        KindSpec::new(ESCALATION, "Escalates a case whose deadline was breached, or records why the rules refuse it.")
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        breach(payload).map(drop)
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        let breach = breach(payload).map_err(JobError::Fatal)?;
        Ok(match escalate_breached(&self.writing, &context.caller(), breach, context.lease).await? {
            Acted::Done(_) | Acted::Refused(_) => Outcome::Committed,
            Acted::Nothing => Outcome::Done,
        })
    }
}

fn breach(payload: &Value) -> Result<Breach, String> {
    serde_json::from_value(payload.clone()).map_err(|error| error.to_string())
}
