//! The one way a case is written: a wrapper around every deciding function.
//!
//! 1. Load the case and the answer stored under the key, in one round trip.
//! 2. A case the actor may not see does not exist (and the attempt is recorded); what it may never do on a case that it
//!    sees is refused (403, recorded), before a stored answer could be read.
//! 3. A finished request with the same key is answered from the store.
//! 4. The client's version must be the current one (428, 412).
//! 5. The domain decides (403, 409, 422, or the case after).
//! 6. Case, audit record, event and answer are committed in one transaction, if nothing moved meanwhile; if something
//!    did, begin again at 1, with a turn among those of this process who write the same case ([`super::turns`]).
//!
//! Nothing else happens inside the transaction: no HTTP, no plugin, no model call.

use std::sync::Arc;

use docket_domain::audit::Outcome;
use docket_domain::case::visibility::may_see;
use docket_domain::case::{Case, Refusal};
use docket_domain::ids::CaseId;
use docket_domain::job::JobLease;
use docket_domain::principal::Scope;
use time::{Duration, OffsetDateTime};

use super::calendars::Calendars;
use super::turns::Turns;
use super::write_draft::{self, Act, Decision};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::events::wakeups::Wakeups;
use crate::application::ports::case_store::{CaseWrite, Commit, KeyScope, Loaded, RowChange, StoredAnswer, StoredCase};
use crate::application::ports::{CaseStore, Clock};
use crate::application::request::{Caller, Claim, IfMatch, Presenter, Rendered, Written};
use crate::faults::Fault;
use crate::telemetry::business::{CASE_ACTS, IDEMPOTENCY, WRITE_RETRIES};

/// How often a write begins again because the case or its chain moved under it.
pub(super) const ATTEMPTS: u32 = 8;

/// What is not there when a link leads nowhere, or to a case that the actor may not see.
pub(super) const NO_TARGET: &str = "case to link to";

/// The error for a link that exists.
pub(super) fn already_linked() -> UseCaseError {
    UseCaseError::Duplicate("the two cases are linked in this way already".to_owned())
}

/// The parts that every writing use case needs.
#[derive(Clone)]
pub struct CaseWriting {
    /// Where cases are kept.
    pub store: Arc<dyn CaseStore>,
    /// The time and fresh ids.
    pub clock: Arc<dyn Clock>,
    /// What deadlines are reckoned by.
    pub calendars: Calendars,
    /// How long an answer is remembered under its key.
    pub key_lifetime: Duration,
    /// Who wants to hear that an event was committed.
    pub wakeups: Wakeups,
    /// Who writes next where writes collide.
    pub turns: Turns,
}

/// One request to change an existing case.
#[derive(Clone, Copy)]
pub struct ChangeRequest<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Which case.
    pub case_id: CaseId,
    /// Which version the client saw.
    pub if_match: IfMatch,
    /// The client's name for the operation.
    pub claim: Option<&'a Claim>,
    /// Judge only, change nothing.
    pub dry_run: bool,
    /// Words the answer.
    pub presenter: &'a dyn Presenter,
    /// What is attempted, in dotted words, for the record of a refusal.
    pub action: &'a str,
    /// The job of which the change is the effect: it ends in the same transaction. A refusal does not end it.
    pub completes: Option<JobLease>,
}

impl CaseWriting {
    /// Changes a case by what `decide` makes of it; see the steps at the top of this file.
    #[tracing::instrument(name = "unit_of_work", skip_all, fields(action = request.action))]
    ///
    /// `authorize` judges the actor on the case whatever state it is in; `decide` everything else.
    pub async fn change<A, D>(
        &self,
        request: ChangeRequest<'_>,
        authorize: A,
        mut decide: D,
    ) -> Result<Written, UseCaseError>
    where
        A: Fn(&Case) -> Result<(), Refusal> + Send,
        D: FnMut(&Case, OffsetDateTime) -> Result<Decision, UseCaseError> + Send,
    {
        let mut writer = self.turns.come(request.caller.actor.tenant_id, request.case_id).await;
        for _ in 0..ATTEMPTS {
            let loaded = self.load(&request).await?;
            let now = self.clock.now();
            let stored = match loaded.case {
                Some(stored) if may_see(&request.caller.actor, &stored.case) => stored,
                hidden => {
                    drop(writer);
                    return Err(self.hide(&request, hidden).await?);
                }
            };
            if let Err(refusal) = authorize(&stored.case) {
                drop(writer);
                return Err(self.deny(request.caller, stored, request.action, refusal, request.dry_run).await?);
            }
            if let Some(written) = self.replay(request.caller, request.claim, loaded.answer).await? {
                return Ok(written);
            }
            request.if_match.check(stored.case.version)?;
            let decision = match decide(&stored.case, now) {
                Ok(decision) => decision,
                Err(UseCaseError::Refused { refusal, .. }) if !request.dry_run => {
                    if let Some(error) = self.record_refusal(&request, &stored, refusal, now).await? {
                        return Err(error);
                    }
                    writer.lost().await;
                    continue;
                }
                Err(other) => return Err(other),
            };
            let rendered = request.presenter.changed(&decision.case, decision.created);
            if request.dry_run {
                return Ok(Written { rendered, replayed: false });
            }
            let act =
                Act { completes: request.completes, ..self.act(request.caller, request.claim, Some(&rendered), now) };
            let write = write_draft::accepted(&act, Some(&stored), decision)?;
            if self.settle(&write, self.store.commit(&write).await?)? {
                return Ok(Written { rendered, replayed: false });
            }
            writer.lost().await;
        }
        Err(UseCaseError::Contention)
    }

    /// Creates a case by what `decide` makes of a fresh id.
    #[tracing::instrument(name = "unit_of_work", skip_all, fields(action = "case.create"))]
    pub async fn create<D>(
        &self,
        caller: &Caller,
        claim: &Claim,
        presenter: &dyn Presenter,
        mut decide: D,
    ) -> Result<Written, UseCaseError>
    where
        D: FnMut(CaseId, OffsetDateTime) -> Result<Decision, UseCaseError> + Send,
    {
        let scope = KeyScope { principal_id: caller.actor.principal_id, key: &claim.key };
        for _ in 0..ATTEMPTS {
            let answer = self.store.load_answer(caller.actor.tenant_id, scope).await?;
            let now = self.clock.now();
            if let Some(written) = self.replay(caller, Some(claim), answer).await? {
                return Ok(written);
            }
            let decision = decide(CaseId(self.clock.new_id()), now)?;
            let rendered = presenter.changed(&decision.case, None);
            let act = self.act(caller, Some(claim), Some(&rendered), now);
            let write = write_draft::accepted(&act, None, decision)?;
            let commit = self.store.commit(&write).await?;
            if commit == Commit::ReferenceTaken {
                // Perhaps by the first send of this very request, which committed after the key was looked up.
                let answer = self.store.load_answer(caller.actor.tenant_id, scope).await?;
                if let Some(written) = self.replay(caller, Some(claim), answer).await? {
                    return Ok(written);
                }
            }
            if self.settle(&write, commit)? {
                return Ok(Written { rendered, replayed: false });
            }
        }
        Err(UseCaseError::Contention)
    }

    /// Records on the case's chain that it was read, or that reading was denied; gives up quietly if the case is gone.
    pub async fn record_look(
        &self,
        caller: &Caller,
        mut stored: StoredCase,
        action: &str,
        outcome: Outcome,
    ) -> Result<(), UseCaseError> {
        let status = if outcome == Outcome::Allowed { 200 } else { 404 };
        self.record_as(caller, &mut stored, action, outcome, (status, None)).await
    }

    /// Records on the case's chain that the actor, not the case or the input, was the cause of a refusal, and gives the
    /// error to answer with. A dry run leaves no record.
    pub async fn deny(
        &self,
        caller: &Caller,
        mut stored: StoredCase,
        action: &str,
        refusal: Refusal,
        dry_run: bool,
    ) -> Result<UseCaseError, UseCaseError> {
        if !dry_run {
            self.record_as(caller, &mut stored, action, Outcome::Denied, (403, Some(&refusal))).await?;
        }
        Ok(UseCaseError::refused(refusal))
    }

    /// Fails unless the credential may write cases; a refusal is recorded on the case's chain, if there is the case.
    pub async fn require_write(&self, request: &ChangeRequest<'_>) -> Result<(), UseCaseError> {
        let Err(error) = request.caller.require_scope(Scope::CasesWrite) else { return Ok(()) };
        let tenant = request.caller.actor.tenant_id;
        if !request.dry_run
            && let Some(stored) = self.store.load(tenant, request.case_id, None).await?.case
        {
            let refusal = Refusal::NotAllowed { by_role: true, reason: error.to_string() };
            self.deny(request.caller, stored, request.action, refusal, false).await?;
        }
        Err(error)
    }

    /// The answer stored under the key for this very request, for a case that is gone.
    pub async fn answer_after_deletion(&self, caller: &Caller, claim: &Claim) -> Result<Option<Written>, UseCaseError> {
        let scope = KeyScope { principal_id: caller.actor.principal_id, key: &claim.key };
        let answer = self.store.load_answer(caller.actor.tenant_id, scope).await?;
        let same = answer.filter(|answer| answer.fingerprint == claim.fingerprint);
        self.replay(caller, Some(claim), same).await
    }

    async fn record_as(
        &self,
        caller: &Caller,
        stored: &mut StoredCase,
        action: &str,
        outcome: Outcome,
        (status, refusal): (u16, Option<&Refusal>),
    ) -> Result<(), UseCaseError> {
        let rendered = Rendered { status, etag: None, location: None, body: String::new() };
        let mut writer = self.turns.come(caller.actor.tenant_id, stored.case.id).await;
        for _ in 0..ATTEMPTS {
            let act = self.act(caller, None, Some(&rendered), self.clock.now());
            let write = write_draft::recorded(&act, stored, action.to_owned(), outcome, refusal)?;
            if self.settle(&write, self.store.commit(&write).await?)? {
                return Ok(());
            }
            writer.lost().await;
            match self.store.load(caller.actor.tenant_id, stored.case.id, None).await?.case {
                Some(fresh) => *stored = fresh,
                None => return Ok(()),
            }
        }
        Err(UseCaseError::Contention)
    }

    async fn load(&self, request: &ChangeRequest<'_>) -> Result<Loaded, UseCaseError> {
        let actor = &request.caller.actor;
        let scope = request.claim.map(|claim| KeyScope { principal_id: actor.principal_id, key: &claim.key });
        Ok(self.store.load(actor.tenant_id, request.case_id, scope).await?)
    }

    /// The error for a case that is not there or that the actor may not know of; the attempt is recorded.
    async fn hide(
        &self,
        request: &ChangeRequest<'_>,
        hidden: Option<StoredCase>,
    ) -> Result<UseCaseError, UseCaseError> {
        if let Some(hidden) = hidden {
            self.record_look(request.caller, hidden, request.action, Outcome::Denied).await?;
        }
        Ok(UseCaseError::NotFound("case"))
    }

    /// The stored answer, if the key was used for this very request and has not expired.
    async fn replay(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        answer: Option<StoredAnswer>,
    ) -> Result<Option<Written>, UseCaseError> {
        let (Some(claim), Some(answer)) = (claim, answer) else { return Ok(None) };
        if answer.expired {
            let scope = KeyScope { principal_id: caller.actor.principal_id, key: &claim.key };
            self.store.forget_expired(caller.actor.tenant_id, scope).await?;
            return Ok(None);
        }
        if answer.fingerprint != claim.fingerprint && !Fault::ReplayWithoutFingerprint.is_seeded() {
            metrics::counter!(IDEMPOTENCY, "outcome" => "reused").increment(1);
            return Err(UseCaseError::KeyReused);
        }
        metrics::counter!(IDEMPOTENCY, "outcome" => "replayed").increment(1);
        Ok(Some(Written { rendered: answer.rendered, replayed: true }))
    }

    /// Records a refusal; the error to answer with, or none when the case moved and the decision must be made again.
    async fn record_refusal(
        &self,
        request: &ChangeRequest<'_>,
        stored: &StoredCase,
        refusal: Refusal,
        now: OffsetDateTime,
    ) -> Result<Option<UseCaseError>, UseCaseError> {
        let rendered = request.presenter.refused(&refusal);
        let by_role = refusal.is_by_role();
        // A denial is never stored under the key: with another role the same request may succeed.
        let claim = request.claim.filter(|_| !by_role);
        let act = self.act(request.caller, claim, Some(&rendered), now);
        let outcome = if by_role { Outcome::Denied } else { Outcome::Conflict };
        let write = write_draft::recorded(&act, stored, request.action.to_owned(), outcome, Some(&refusal))?;
        let settled = self.settle(&write, self.store.commit(&write).await?)?;
        Ok(settled.then_some(UseCaseError::Refused { refusal, rendered: Some(rendered) }))
    }

    pub(super) fn act<'a>(
        &self,
        caller: &'a Caller,
        claim: Option<&'a Claim>,
        rendered: Option<&'a Rendered>,
        now: OffsetDateTime,
    ) -> Act<'a> {
        let key_expires_at = now + self.key_lifetime;
        let claim = claim.filter(|_| !Fault::SkipReplay.is_seeded());
        Act { caller, claim, rendered, now, key_expires_at, event_id: self.clock.new_id(), completes: None }
    }

    /// Whether the commit is done; false means begin again.
    #[allow(clippy::unused_self, reason = "reads as a step of the unit of work")]
    pub(super) fn settle(&self, write: &CaseWrite, commit: Commit) -> Result<bool, UseCaseError> {
        match commit {
            Commit::Done => {
                if write.event.is_some() {
                    self.wakeups.committed(write.case.tenant_id);
                }
                let (action, outcome) = (write.audit.action.clone(), write.audit.outcome.as_str());
                metrics::counter!(CASE_ACTS, "action" => action, "outcome" => outcome).increment(1);
                Ok(true)
            }
            Commit::Stale | Commit::KeyTaken => {
                metrics::counter!(WRITE_RETRIES).increment(1);
                Ok(false)
            }
            Commit::KeyInFlight => {
                metrics::counter!(IDEMPOTENCY, "outcome" => "in_flight").increment(1);
                Err(UseCaseError::KeyInFlight)
            }
            Commit::ReferenceTaken => {
                Err(UseCaseError::Duplicate("a case with this reference exists already in your tenant".to_owned()))
            }
            Commit::LeaseLost => Err(UseCaseError::LeaseLost),
            Commit::NoSuchTarget => Err(UseCaseError::NotFound(NO_TARGET)),
            Commit::NoSuchContent => {
                let detail = "no content with this hash is stored any more; upload it";
                Err(UseCaseError::Invalid(vec![Invalid::new("/sha256", detail)]))
            }
            Commit::EntryExists => {
                Err(UseCaseError::Duplicate("the register's answer to this event is written already".to_owned()))
            }
            Commit::LinkExists => Err(already_linked()),
        }
    }
}

/// A decision that changes the row without anything hanging on it.
pub fn plain(
    change: RowChange,
    case: Case,
    action: String,
    event_type: docket_domain::case::EventType,
    reason: Option<String>,
) -> Decision {
    let (attachments, enqueues) = (Vec::new(), Vec::new());
    Decision { change, case, action, event_type: Some(event_type), reason, attachments, created: None, enqueues }
}
