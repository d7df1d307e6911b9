//! An act of docket itself on a case: the same load, decision, record, event and commit as a client's, without a client.
//!
//! Nobody waits for an answer and nobody named a version: what was decided on a version that moved meanwhile is decided anew
//! on the next one, and may turn out to be nothing.

use docket_domain::audit::Outcome;
use docket_domain::case::{Case, Refusal};
use docket_domain::ids::CaseId;
use docket_domain::job::JobLease;
use time::OffsetDateTime;

use super::unit_of_work::{ATTEMPTS, CaseWriting};
use super::write_draft::{self, Act, Decision};
use crate::application::error::UseCaseError;
use crate::application::request::Caller;

/// What docket is about to do.
#[derive(Clone, Copy)]
pub struct SystemAct<'a> {
    /// The system actor of the tenant.
    pub caller: &'a Caller,
    /// On which case.
    pub case_id: CaseId,
    /// What is attempted, in dotted words, for the record of a refusal.
    pub action: &'a str,
    /// The job of which the act, or the record of its refusal, is the effect: it ends in the same transaction.
    pub completes: Option<JobLease>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It is done; the case afterwards.
    Done(Box<Case>),
    /// The rules refused, and that is recorded.
    Refused(Refusal),
    /// There was nothing to do (any more), or the case is gone. Nothing was written.
    Nothing,
}

impl CaseWriting {
    /// Acts on a case by what `decide` makes of it: a decision, nothing, or a refusal, which is recorded.
    #[tracing::instrument(name = "unit_of_work", skip_all, fields(action = act.action))]
    pub async fn act_as_system<D>(&self, act: SystemAct<'_>, mut decide: D) -> Result<Acted, UseCaseError>
    where
        D: FnMut(&Case, OffsetDateTime) -> Result<Option<Decision>, Refusal> + Send,
    {
        let SystemAct { caller, case_id, action, completes } = act;
        let mut writer = self.turns.come(caller.actor.tenant_id, case_id).await;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.store.load(caller.actor.tenant_id, case_id, None).await?.case else {
                return Ok(Acted::Nothing);
            };
            let now = self.clock.now();
            let act = Act { completes, ..self.act(caller, None, None, now) };
            let (write, acted) = match decide(&stored.case, now) {
                Ok(None) => return Ok(Acted::Nothing),
                Ok(Some(decision)) => {
                    let after = Box::new(decision.case.clone());
                    (write_draft::accepted(&act, Some(&stored), decision)?, Acted::Done(after))
                }
                Err(refusal) => {
                    let outcome = if refusal.is_by_role() { Outcome::Denied } else { Outcome::Conflict };
                    let write = write_draft::recorded(&act, &stored, action.to_owned(), outcome, Some(&refusal))?;
                    (write, Acted::Refused(refusal))
                }
            };
            if self.settle(&write, self.store.commit(&write).await?)? {
                return Ok(acted);
            }
            writer.lost().await;
        }
        Err(UseCaseError::Contention)
    }
}
