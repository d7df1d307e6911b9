//! Drafts a write: from a decision to the rows that must be committed together.

use docket_domain::audit::record::changes;
use docket_domain::audit::{AuditRecord, Outcome, StateChange};
use docket_domain::case::{Case, EventType, Refusal};
use docket_domain::ids::{CaseId, EventId};
use docket_domain::job::JobLease;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::attached;
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{AnswerToStore, Attachment, CaseWrite, NewEvent, RowChange, StoredCase};
use crate::application::ports::job_store::NewJob;
use crate::application::request::{Caller, Claim, Rendered};
use crate::faults::Fault;

/// What was decided on a case, before it is written.
#[derive(Debug, Clone)]
pub struct Decision {
    /// How the row changes.
    pub change: RowChange,
    /// The case afterwards.
    pub case: Case,
    /// What was done, in dotted words.
    pub action: String,
    /// What the outside learns; none when nothing changed.
    pub event_type: Option<EventType>,
    /// The reason given.
    pub reason: Option<String>,
    /// Rows that hang on the case.
    pub attachments: Vec<Attachment>,
    /// The id of the row that hangs on the case now, for the answer.
    pub created: Option<Uuid>,
    /// Jobs that the act causes.
    pub enqueues: Vec<NewJob>,
}

/// The act around a decision: who, under which key, with which answer.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Under which key.
    pub claim: Option<&'a Claim>,
    /// The answer that the client gets; none for acts from the command line.
    pub rendered: Option<&'a Rendered>,
    /// When.
    pub now: OffsetDateTime,
    /// From when on the key counts as new.
    pub key_expires_at: OffsetDateTime,
    /// A fresh id for the event.
    pub event_id: Uuid,
    /// The job of which the act is the effect.
    pub completes: Option<JobLease>,
}

/// The write for an act that changes (or creates, or deletes) a case; `before` is none for a new one.
pub fn accepted(act: &Act<'_>, before: Option<&StoredCase>, decision: Decision) -> Result<CaseWrite, StoreError> {
    let Decision { change, case, action, event_type, reason, attachments, enqueues, .. } = decision;
    let old = before.map_or(Ok(Value::Null), |stored| serde_json::to_value(&stored.case));
    let old = old.map_err(StoreError::internal)?;
    let new = if change == RowChange::Delete { Ok(Value::Null) } else { serde_json::to_value(&case) };
    let new = new.map_err(StoreError::internal)?;
    let (left, mut right, patch) = changes(&old, &new);
    if let (Some(rows), Value::Object(members)) = (attached::named(&attachments), &mut right) {
        members.insert("attached".to_owned(), rows);
    }
    let from = before.map(|stored| stored.case.state);
    let mut data = json!({
        "case_id": case.id,
        "version": case.version,
        "action": action,
        "from_state": from,
        "to_state": case.state,
        "severity": case.severity,
    });
    if event_type.is_some_and(EventType::is_about_deadline) {
        data["due_at"] = json!(case.due_at.and_then(|due| due.format(&Rfc3339).ok()));
    }
    let event = event_type.map(|event_type| NewEvent {
        id: EventId(act.event_id),
        event_type,
        data,
        traceparent: act.caller.traceparent.clone(),
    });
    let record = AuditRecord {
        reason,
        states: StateChange { from, to: (change != RowChange::Delete).then_some(case.state) },
        case_version: Some(case.version),
        before: (!old.is_null()).then_some(left),
        after: (!new.is_null()).then_some(right),
        diff: before.is_some().then_some(patch),
        ..record(act, case.id, action, Outcome::Allowed)
    };
    Ok(CaseWrite { enqueues, ..seal(act, before, change, case, record, event, attachments)? })
}

/// The write for an act that was refused, or that only looked: the case stays, the record says what happened.
pub fn recorded(
    act: &Act<'_>,
    stored: &StoredCase,
    action: String,
    outcome: Outcome,
    refusal: Option<&Refusal>,
) -> Result<CaseWrite, StoreError> {
    let case = stored.case.clone();
    let record = AuditRecord {
        states: StateChange { from: Some(case.state), to: Some(case.state) },
        case_version: Some(case.version),
        guard_results: refusal.map(|refusal| json!([{"guard": refusal.rule(), "detail": refusal.to_string()}])),
        ..record(act, case.id, action, outcome)
    };
    seal(act, Some(stored), RowChange::ChainOnly, case, record, None, Vec::new())
}

fn record(act: &Act<'_>, case_id: CaseId, action: String, outcome: Outcome) -> AuditRecord {
    let Caller { actor, request_id, trace_id, .. } = act.caller;
    AuditRecord {
        seq: 0,
        tenant_id: actor.tenant_id,
        chain_id: case_id.0,
        case_id: Some(case_id),
        actor_id: actor.principal_id,
        actor_type: actor.kind,
        actor_roles: actor.roles,
        on_behalf_of: actor.on_behalf_of,
        agent_run_id: None,
        action,
        outcome,
        http_status: act.rendered.map(|rendered| rendered.status),
        request_id: request_id.clone(),
        trace_id: trace_id.clone(),
        idempotency_key_hash: act.claim.map(|claim| claim.key.hash()),
        reason: None,
        states: StateChange { from: None, to: None },
        case_version: None,
        guard_results: None,
        before: None,
        after: None,
        diff: None,
        occurred_at: act.now,
    }
}

/// Numbers the record, hashes it onto the chain and adds the answer to remember.
fn seal(
    act: &Act<'_>,
    before: Option<&StoredCase>,
    change: RowChange,
    case: Case,
    mut audit: AuditRecord,
    event: Option<NewEvent>,
    attachments: Vec<Attachment>,
) -> Result<CaseWrite, StoreError> {
    let (version, head) = before.map_or((0, docket_domain::audit::ChainHead::EMPTY), |b| (b.case.version, b.head));
    audit.seq = head.seq + 1;
    let previous = if Fault::AuditNotChained.is_seeded() { [0; 32] } else { head.hash };
    let canonical = audit.canonical().map_err(StoreError::internal)?;
    let next_head = docket_domain::audit::ChainHead {
        seq: audit.seq,
        hash: docket_domain::audit::chain::link_hash(&previous, &canonical),
    };
    let answer = act.claim.zip(act.rendered).map(|(claim, rendered)| AnswerToStore {
        principal_id: act.caller.actor.principal_id,
        key: claim.key.clone(),
        fingerprint: claim.fingerprint,
        rendered: rendered.clone(),
        expires_at: act.key_expires_at,
    });
    Ok(CaseWrite {
        change,
        case,
        decided_on: (version, head),
        audit,
        canonical: String::from_utf8(canonical).map_err(StoreError::internal)?,
        head: next_head,
        event,
        answer,
        attachments,
        enqueues: Vec::new(),
        completes: act.completes,
    })
}
