//! Administer jobs by hand: enqueue, cancel, redrive. Each is an act on the tenant's audit chain, like all administration.

use async_trait::async_trait;
use docket_domain::ids::{JobId, TenantId};
use docket_domain::job::{JobKind, JobState, Priority};
use docket_domain::principal::{Role, Roles, Scope};
use docket_domain::tenancy::Tenant;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::registry::Registry;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::StoreError;
use crate::application::ports::job_store::{Job, JobFilter, JobStore, NewJob};
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, Written};
use crate::application::tenancy::unit_of_work::{
    Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting, require_claim,
};

/// Dead letters that one request puts back at most.
pub const REDRIVE_MAX: u32 = 1_000;
/// The longest payload, in bytes of JSON.
pub const PAYLOAD_MAX: usize = 65_536;
/// How far ahead a job may be planned.
const AHEAD_MAX: Duration = Duration::days(366);
/// Who administers jobs: administrators those of their tenant, operators those of the platform.
const KEEPERS: Roles = Roles::of(&[Role::Admin, Role::Operator, Role::System]);

/// What every act on jobs needs.
#[derive(Clone, Copy)]
pub struct Jobs<'a> {
    /// Writes the act.
    pub writing: &'a TenancyWriting,
    /// Reads jobs.
    pub store: &'a dyn JobStore,
    /// The kinds there are.
    pub registry: &'a Registry,
    /// Words the answer.
    pub presenter: &'a dyn TenancyPresenter,
}

/// A job as it is asked for.
#[derive(Debug, Clone)]
pub struct JobOrder {
    /// The kind.
    pub kind: String,
    /// What the handler is to know.
    pub payload: Value,
    /// How urgent.
    pub priority: Priority,
    /// Not before this.
    pub run_at: Option<OffsetDateTime>,
    /// While a job of this kind with this key waits or runs, that one is the answer.
    pub unique_key: Option<String>,
}

/// Fails unless the caller administers jobs.
pub fn require_keeper(caller: &Caller) -> Result<(), UseCaseError> {
    caller.require_scope(Scope::Admin)?;
    if caller.actor.roles.intersects(KEEPERS) {
        return Ok(());
    }
    Err(UseCaseError::Forbidden("jobs need the role `admin` (or `operator`, for the platform's)".to_owned()))
}

/// A job of the caller's tenant.
pub async fn read_job(store: &dyn JobStore, caller: &Caller, id: JobId) -> Result<Job, UseCaseError> {
    require_keeper(caller)?;
    store.get(caller.actor.tenant_id, id).await?.ok_or(UseCaseError::NotFound("job"))
}

/// Jobs of the caller's tenant, newest first.
pub async fn list_jobs(
    store: &dyn JobStore,
    caller: &Caller,
    filter: &JobFilter,
    before: Option<JobId>,
    limit: u32,
) -> Result<Vec<Job>, UseCaseError> {
    require_keeper(caller)?;
    Ok(store.list(caller.actor.tenant_id, filter, before, limit).await?)
}

/// One act, as it is asked for.
#[derive(Debug, Clone)]
pub enum JobAct {
    /// Enqueue a job.
    Enqueue(Result<JobOrder, Vec<Invalid>>),
    /// End a job that waits or runs.
    Cancel(JobId),
    /// Put a dead letter back.
    Redrive(JobId),
    /// Put all dead letters of a kind back, up to [`REDRIVE_MAX`] at a time.
    RedriveKind(Result<String, Vec<Invalid>>),
}

impl JobAct {
    /// What is done, in dotted words.
    const fn action(&self) -> &'static str {
        match self {
            Self::Enqueue(_) => "job.enqueue",
            Self::Cancel(_) => "job.cancel",
            Self::Redrive(_) => "job.redrive",
            Self::RedriveKind(_) => "job.redrive_kind",
        }
    }
}

/// Carries an act out on the caller's tenant.
pub async fn administer(
    jobs: Jobs<'_>,
    caller: &Caller,
    claim: Option<&Claim>,
    what: JobAct,
) -> Result<Written, UseCaseError> {
    let attempted = what.action();
    if let Err(denial) = require_keeper(caller) {
        return Err(jobs.writing.denied(caller, attempted, denial).await?);
    }
    let claim = require_claim(caller, claim)?;
    let (target, presenter) = (Target::Existing(caller.actor.tenant_id), jobs.presenter);
    let act = Act { caller, target, claim, presenter, attempted };
    jobs.writing.carry_out(act, &Deciding { jobs, caller, what }).await
}

struct Deciding<'a> {
    jobs: Jobs<'a>,
    caller: &'a Caller,
    what: JobAct,
}

#[async_trait]
impl Decide for Deciding<'_> {
    async fn decide(&self, _: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        match &self.what {
            JobAct::Enqueue(order) => self.enqueue(order.clone().map_err(UseCaseError::Invalid)?, now).await,
            JobAct::Cancel(id) => self.cancel(*id, now).await,
            JobAct::Redrive(id) => self.redrive(*id, now).await,
            JobAct::RedriveKind(kind) => self.redrive_kind(kind.clone().map_err(UseCaseError::Invalid)?).await,
        }
    }
}

impl Deciding<'_> {
    fn tenant(&self) -> TenantId {
        self.caller.actor.tenant_id
    }

    async fn job(&self, id: JobId) -> Result<Job, UseCaseError> {
        self.jobs.store.get(self.tenant(), id).await?.ok_or(UseCaseError::NotFound("job"))
    }

    async fn enqueue(&self, order: JobOrder, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let kind = self.checked(&order, now)?;
        if let Some(key) = &order.unique_key
            && let Some(holder) = self.jobs.store.holder(self.tenant(), &kind, key).await?
        {
            return self.decision(vec![], holder, None);
        }
        let id = JobId(self.jobs.writing.clock.new_id());
        let job = Job {
            id,
            tenant_id: self.tenant(),
            kind: kind.clone(),
            state: JobState::Queued,
            priority: order.priority,
            payload: order.payload.clone(),
            attempt: 0,
            run_at: Some(order.run_at.map_or(now, |run_at| run_at.max(now))),
            unique_key: order.unique_key.clone(),
            progress: None,
            cancel_requested: false,
            result: None,
            error: None,
            requested_by: self.caller.actor.principal_id,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let new = NewJob {
            id,
            tenant_id: self.tenant(),
            kind,
            payload: order.payload,
            priority: order.priority,
            run_at: order.run_at,
            unique_key: order.unique_key,
            requested_by: self.caller.actor.principal_id,
            traceparent: self.caller.traceparent.clone(),
        };
        Ok(Decision { created: true, ..self.decision(vec![Effect::EnqueueJob(new)], job, None)? })
    }

    /// The kind of an order that can be carried out.
    fn checked(&self, order: &JobOrder, now: OffsetDateTime) -> Result<JobKind, UseCaseError> {
        let invalid = |pointer: &str, detail: String| UseCaseError::Invalid(vec![Invalid::new(pointer, detail)]);
        let Some(handler) = self.jobs.registry.get(&order.kind) else {
            let known: Vec<_> = self.jobs.registry.specs().iter().map(|spec| spec.kind).collect();
            return Err(invalid("/kind", format!("is no kind of job here; use one of: {}", known.join(", "))));
        };
        let spec = handler.spec();
        let roles = self.caller.actor.roles;
        if !roles.intersects(spec.enqueued_by) && !roles.has(Role::System) {
            let detail = format!("`{}` is not enqueued by hand with your roles", spec.kind);
            return Err(UseCaseError::Forbidden(detail));
        }
        if order.payload.to_string().len() > PAYLOAD_MAX {
            return Err(invalid("/payload", format!("is longer than {PAYLOAD_MAX} bytes")));
        }
        handler.check(&order.payload).map_err(|detail| invalid("/payload", detail))?;
        if order.run_at.is_some_and(|run_at| run_at > now + AHEAD_MAX) {
            return Err(invalid("/run_at", "must lie within a year".to_owned()));
        }
        order.kind.parse().map_err(|error| invalid("/kind", format!("{error}")))
    }

    async fn cancel(&self, id: JobId, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let before = self.job(id).await?;
        let running = before.state == JobState::Running;
        let after = match before.state {
            JobState::Queued => {
                Job { state: JobState::Cancelled, run_at: None, finished_at: Some(now), ..before.clone() }
            }
            JobState::Running => Job { cancel_requested: true, ..before.clone() },
            ended => return Err(UseCaseError::Conflict(format!("the job has ended: it is {ended}"))),
        };
        self.decision(vec![Effect::CancelJob { id, running }], after, Some(before))
    }

    async fn redrive(&self, id: JobId, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let before = self.job(id).await?;
        if before.state != JobState::Dead {
            let detail = format!("only dead jobs are redriven; this one is {}", before.state);
            return Err(UseCaseError::Conflict(detail));
        }
        if let Some(key) = &before.unique_key
            && let Some(holder) = self.jobs.store.holder(self.tenant(), &before.kind, key).await?
        {
            let detail = format!("the job {} holds the same unique key", holder.id);
            return Err(UseCaseError::Conflict(detail));
        }
        let after = Job { state: JobState::Queued, attempt: 0, run_at: Some(now), finished_at: None, ..before.clone() };
        self.decision(vec![Effect::RedriveJob(id)], after, Some(before))
    }

    async fn redrive_kind(&self, kind: String) -> Result<Decision, UseCaseError> {
        let parsed = kind.parse::<JobKind>().ok().filter(|_| self.jobs.registry.get(&kind).is_some());
        let kind =
            parsed.ok_or_else(|| UseCaseError::Invalid(vec![Invalid::new("/kind", "is no kind of job here")]))?;
        let dead = self.jobs.store.dead(self.tenant(), &kind, REDRIVE_MAX).await?;
        Ok(Decision {
            effects: vec![Effect::RedriveKind(kind.clone(), REDRIVE_MAX)],
            action: self.what.action(),
            subject: Subject::DeadLetters { kind, dead },
            created: false,
            before: Value::Null,
            secret: None,
            forget: Forget::Nothing,
        })
    }

    fn decision(&self, effects: Vec<Effect>, job: Job, before: Option<Job>) -> Result<Decision, UseCaseError> {
        let before = serde_json::to_value(before).map_err(StoreError::internal)?;
        let (action, subject) = (self.what.action(), Subject::Job(Box::new(job)));
        Ok(Decision { effects, action, subject, created: false, before, secret: None, forget: Forget::Nothing })
    }
}
