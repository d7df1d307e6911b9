//! The one way a tenant's administration is written: a wrapper around every deciding step.
//!
//! 1. A finished request with the same key is answered from the store (without the secret it may have shown).
//! 2. Load the tenant with the head of its audit chain.
//! 3. The use case decides: the rows that change, and the subject as it is afterwards.
//! 4. Rows, audit record and stored answer are committed in one transaction if the chain has not moved since 2; if it
//!    has, begin again. All administrative acts of a tenant go through its chain, so what was decided on still holds.
//! 5. This node forgets the credentials that the act touched, before the answer is sent.
//!
//! Principals and keys carry no version: of two acts on the same row the last one wins, and both are on the chain.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::audit::record::changes;
use docket_domain::audit::{AuditRecord, ChainHead, Outcome, StateChange};
use docket_domain::budget::TenantBudget;
use docket_domain::calendar::TenantCalendar;
use docket_domain::document::Document;
use docket_domain::ids::TenantId;
use docket_domain::job::JobKind;
use docket_domain::principal::{Role, Scope};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use docket_domain::webhook::Endpoint;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use tracing::Instrument;

use super::api_key::{NewKey, from_random};
use super::credential_memory::CredentialMemory;
use crate::application::error::UseCaseError;
use crate::application::ports::case_store::{AnswerToStore, KeyScope};
use crate::application::ports::job_store::Job;
use crate::application::ports::tenancy_store::{Effect, TenancyCommit, TenancyStore, TenancyWrite};
use crate::application::ports::{Clock, Randomness, StoreError};
use crate::application::request::{Caller, Claim, Rendered, Written};

/// How often an act begins again because the tenant's chain moved under it.
pub(super) const ATTEMPTS: u32 = 32;

/// The parts that every administrative use case needs.
#[derive(Clone)]
pub struct TenancyWriting {
    /// Where tenants, principals and keys are kept.
    pub store: Arc<dyn TenancyStore>,
    /// The time and fresh ids.
    pub clock: Arc<dyn Clock>,
    /// What secrets are made of.
    pub randomness: Arc<dyn Randomness>,
    /// Forgets credentials that changed.
    pub memory: Arc<CredentialMemory>,
    /// How long an answer is remembered under its key.
    pub key_lifetime: Duration,
}

/// What an act was on, as it is afterwards.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A tenant, and its first administrator with a key if they were created with it.
    Tenant(Tenant, Option<(Principal, ApiKey)>),
    /// A principal.
    Principal(Principal),
    /// A key.
    Key(ApiKey),
    /// A job.
    Job(Box<Job>),
    /// The dead letters of a kind.
    DeadLetters {
        /// The kind.
        kind: JobKind,
        /// How many there were, counted up to a bound.
        dead: u64,
    },
    /// The working-day calendar.
    Calendar(TenantCalendar),
    /// What may be spent on models.
    Budget(TenantBudget),
    /// Something about deliveries.
    Delivery(DeliverySubject),
    /// A document.
    Document(Box<Document>),
}

/// What an act on deliveries was on.
#[derive(Debug, Clone)]
pub enum DeliverySubject {
    /// A webhook endpoint.
    Endpoint(Endpoint),
    /// Events that wait or are sent again; the answer, and why it was done.
    Report {
        /// The answer.
        body: Value,
        /// The reason given.
        reason: Option<String>,
    },
}

/// Words the answers of administrative acts; the driving side implements it.
pub trait TenancyPresenter: Send + Sync {
    /// The answer about `subject`. It is asked twice for an act that makes a key: with the whole key for the answer that
    /// is sent now, and without it for the answer that is stored and replayed.
    fn done(&self, subject: &Subject, created: bool, key: Option<&str>) -> Rendered;
}

/// One request to administer a tenant.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// On which tenant; its chain records the act.
    pub target: Target,
    /// The client's name for the operation.
    pub claim: Option<&'a Claim>,
    /// Words the answer.
    pub presenter: &'a dyn TenancyPresenter,
    /// What is attempted, in dotted words, for the record of a denial.
    pub attempted: &'static str,
}

/// The tenant acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It must exist.
    Existing(TenantId),
    /// The act creates it.
    New(TenantId),
}

/// Which credentials this node must ask the store about again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// None.
    Nothing,
    /// The key with this prefix.
    Key(String),
    /// All of the tenant.
    Tenant,
}

/// What was decided.
pub struct Decision {
    /// The rows that change.
    pub effects: Vec<Effect>,
    /// What was done, in dotted words.
    pub action: &'static str,
    /// What it was done to, as it is afterwards.
    pub subject: Subject,
    /// Whether the subject is new.
    pub created: bool,
    /// The subject before, for the record; null when it is new.
    pub before: Value,
    /// The key that is shown once.
    pub secret: Option<String>,
    /// What must be forgotten when it is done.
    pub forget: Forget,
}

/// The deciding step of a use case.
#[async_trait]
pub trait Decide: Send + Sync {
    /// Decides on the tenant as it is; none for one that is to be created. Asked again when the chain moved.
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError>;
}

impl TenancyWriting {
    /// Carries an act out; see the steps at the top of this file.
    pub async fn carry_out(&self, act: Act<'_>, decide: &dyn Decide) -> Result<Written, UseCaseError> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            if let Some(written) = self.answered(act.caller, act.claim).await? {
                return Ok(written);
            }
            let (tenant_id, tenant, head) = match act.target {
                Target::New(id) => (id, None, ChainHead::EMPTY),
                Target::Existing(id) => {
                    let seen_by = act.caller.actor.tenant_id;
                    let (tenant, head) =
                        self.store.tenant(seen_by, id).await?.ok_or(UseCaseError::NotFound("tenant"))?;
                    (id, Some(tenant), head)
                }
            };
            let decision = match decide.decide(tenant.as_ref(), now).await {
                Err(denied @ UseCaseError::Forbidden(_)) => {
                    return Err(self.denied(act.caller, act.attempted, denied).await?);
                }
                decided => decided?,
            };
            let rendered = act.presenter.done(&decision.subject, decision.created, decision.secret.as_deref());
            let forget = decision.forget.clone();
            let write = self.draft(&act, tenant_id, head, decision, now)?;
            match self.commit(write, forget).await? {
                TenancyCommit::Done => return Ok(Written { rendered, replayed: false }),
                TenancyCommit::Stale | TenancyCommit::KeyTaken => {}
                TenancyCommit::KeyInFlight => return Err(UseCaseError::KeyInFlight),
                TenancyCommit::NameTaken => {
                    return Err(UseCaseError::Duplicate("there is a tenant with this `name` already".to_owned()));
                }
            }
        }
        Err(UseCaseError::Contention)
    }

    /// A fresh key.
    pub fn new_key(&self) -> NewKey {
        let mut bytes = [0; 41];
        self.randomness.fill(&mut bytes);
        from_random(&bytes)
    }

    /// The stored answer of a finished request with the same key; for acts whose preparation is work of its own.
    pub async fn answered(&self, caller: &Caller, claim: Option<&Claim>) -> Result<Option<Written>, UseCaseError> {
        let Some(claim) = claim else { return Ok(None) };
        let actor = &caller.actor;
        let scope = KeyScope { principal_id: actor.principal_id, key: &claim.key };
        let Some(answer) = self.store.load_answer(actor.tenant_id, scope).await? else { return Ok(None) };
        if answer.expired {
            self.store.forget_expired(actor.tenant_id, scope).await?;
            return Ok(None);
        }
        if answer.fingerprint != claim.fingerprint {
            return Err(UseCaseError::KeyReused);
        }
        Ok(Some(Written { rendered: answer.rendered, replayed: true }))
    }

    fn draft(
        &self,
        act: &Act<'_>,
        tenant_id: TenantId,
        head: ChainHead,
        decision: Decision,
        now: OffsetDateTime,
    ) -> Result<TenancyWrite, StoreError> {
        let stored = act.presenter.done(&decision.subject, decision.created, None);
        let mut audit = record(act, tenant_id, &decision, &stored, now)?;
        audit.seq = head.seq + 1;
        let canonical = audit.canonical().map_err(StoreError::internal)?;
        let next = ChainHead { seq: audit.seq, hash: docket_domain::audit::chain::link_hash(&head.hash, &canonical) };
        let answer = act.claim.map(|claim| AnswerToStore {
            principal_id: act.caller.actor.principal_id,
            key: claim.key.clone(),
            fingerprint: claim.fingerprint,
            rendered: stored,
            expires_at: now + self.key_lifetime,
        });
        Ok(TenancyWrite {
            tenant_id,
            acting_tenant: act.caller.actor.tenant_id,
            decided_on: head,
            effects: decision.effects,
            audit,
            canonical: String::from_utf8(canonical).map_err(StoreError::internal)?,
            head: next,
            answer,
        })
    }

    /// Commits and forgets in a task of its own: a client that hangs up in between must not leave a revoked key in memory.
    async fn commit(&self, write: TenancyWrite, forget: Forget) -> Result<TenancyCommit, StoreError> {
        let (store, memory) = (self.store.clone(), self.memory.clone());
        let work = async move {
            let result = store.commit(&write).await;
            match forget {
                Forget::Nothing => {}
                Forget::Key(prefix) => memory.forget(&prefix),
                Forget::Tenant => memory.forget_tenant(write.tenant_id),
            }
            result
        };
        tokio::spawn(work.in_current_span()).await.map_err(StoreError::internal)?
    }
}

fn record(
    act: &Act<'_>,
    tenant_id: TenantId,
    decision: &Decision,
    rendered: &Rendered,
    now: OffsetDateTime,
) -> Result<AuditRecord, StoreError> {
    let after = match &decision.subject {
        Subject::Tenant(tenant, None) => serde_json::to_value(tenant),
        Subject::Tenant(tenant, Some((admin, key))) => serde_json::to_value((tenant, admin, key))
            .map(|parts| serde_json::json!({"tenant": parts[0], "admin": parts[1], "api_key": parts[2]})),
        Subject::Principal(principal) => serde_json::to_value(principal),
        Subject::Key(key) => serde_json::to_value(key),
        Subject::Calendar(calendar) => Ok(calendar.to_record()),
        Subject::Budget(budget) => Ok(budget.to_record()),
        Subject::Delivery(DeliverySubject::Endpoint(endpoint)) => serde_json::to_value(endpoint),
        Subject::Delivery(DeliverySubject::Report { body, .. }) => Ok(body.clone()),
        Subject::Job(job) => serde_json::to_value(job),
        Subject::Document(document) => serde_json::to_value(document),
        Subject::DeadLetters { kind, dead } => Ok(serde_json::json!({"kind": kind, "dead": dead})),
    };
    let after = after.map_err(StoreError::internal)?;
    let (mut left, mut right, patch) = changes(&decision.before, &after);
    let known = !decision.before.is_null();
    if known {
        // The differences alone do not say which row they are of.
        for side in [&mut left, &mut right] {
            side["id"] = after["id"].clone();
        }
    }
    let actor = &act.caller.actor;
    Ok(AuditRecord {
        http_status: (!actor.roles.has(Role::System)).then_some(rendered.status),
        idempotency_key_hash: act.claim.map(|claim| claim.key.hash()),
        before: known.then_some(left),
        after: Some(if known { right } else { after }),
        diff: known.then_some(patch),
        reason: match &decision.subject {
            Subject::Delivery(DeliverySubject::Report { reason, .. }) => reason.clone(),
            _ => None,
        },
        ..attempt(act.caller, tenant_id, decision.action, Outcome::Allowed, now)
    })
}

/// The record of an act of which nothing but the attempt is known.
pub(super) fn attempt(
    caller: &Caller,
    tenant_id: TenantId,
    action: &str,
    outcome: Outcome,
    now: OffsetDateTime,
) -> AuditRecord {
    let Caller { actor, request_id, trace_id, .. } = caller;
    AuditRecord {
        seq: 0,
        tenant_id,
        chain_id: tenant_id.0,
        case_id: None,
        actor_id: actor.principal_id,
        actor_type: actor.kind,
        actor_roles: actor.roles,
        on_behalf_of: actor.on_behalf_of,
        agent_run_id: None,
        action: action.to_owned(),
        outcome,
        http_status: None,
        request_id: request_id.clone(),
        trace_id: trace_id.clone(),
        idempotency_key_hash: None,
        reason: None,
        states: StateChange { from: None, to: None },
        case_version: None,
        guard_results: None,
        before: None,
        after: None,
        diff: None,
        occurred_at: now,
    }
}

/// Fails unless the caller administers its tenant.
pub fn require_admin(caller: &Caller) -> Result<(), UseCaseError> {
    require(caller, Role::Admin, true)
}

/// Fails unless the caller runs the platform.
pub fn require_operator(caller: &Caller) -> Result<(), UseCaseError> {
    require(caller, Role::Operator, caller.actor.tenant_id == TenantId::PLATFORM)
}

/// Fails unless a key was sent; acts from the command line need none.
pub fn require_claim<'a>(caller: &Caller, claim: Option<&'a Claim>) -> Result<Option<&'a Claim>, UseCaseError> {
    if claim.is_none() && !caller.actor.roles.has(Role::System) {
        return Err(UseCaseError::KeyMissing);
    }
    Ok(claim)
}

fn require(caller: &Caller, role: Role, at_home: bool) -> Result<(), UseCaseError> {
    caller.require_scope(Scope::Admin)?;
    if at_home && (caller.actor.roles.has(role) || caller.actor.roles.has(Role::System)) {
        return Ok(());
    }
    Err(UseCaseError::Forbidden(format!("this needs the role `{role}`")))
}
