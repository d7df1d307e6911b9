//! Creating a case and changing its fields: the rules that are not transitions.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::aggregate::Case;
use super::deadline::{self, Calendar};
use super::decide::Refusal;
use super::names::{Confidentiality, Severity, State};
use crate::ids::{CaseId, PrincipalId};
use crate::principal::{Actor, Role, Roles};

/// The fields of a new case, parsed and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCase {
    /// The tenant's own name for it.
    pub reference: String,
    /// One line, not empty.
    pub title: String,
    /// May be empty until the case is submitted.
    pub narrative: String,
    /// May be empty until the case is submitted.
    pub respondent: String,
    /// May be empty until the case is submitted.
    pub case_type: String,
    /// Sets the deadline.
    pub severity: Severity,
    /// Who may know of it.
    pub confidentiality: Confidentiality,
    /// Further fields, flat.
    pub attributes: Map<String, Value>,
}

/// Changes to a case's fields; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseChanges {
    /// New title.
    pub title: Option<String>,
    /// New narrative.
    pub narrative: Option<String>,
    /// New respondent.
    pub respondent: Option<String>,
    /// New case type.
    pub case_type: Option<String>,
    /// New severity; after submission the deadline counts anew from now.
    pub severity: Option<Severity>,
    /// New confidentiality.
    pub confidentiality: Option<Confidentiality>,
    /// Set or lift the legal hold (supervisors only, in every state).
    pub legal_hold: Option<bool>,
    /// Replaces all further fields.
    pub attributes: Option<Map<String, Value>>,
}

const CREATORS: Roles = Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::System]);
const STAFF: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::System]);
const SUPERVISION: Roles = Roles::of(&[Role::Supervisor, Role::System]);

const EDITORS: &str = "changing a case needs the role caseworker or supervisor, or that it is your own draft";
const DELETERS: &str = "deleting a case needs the role supervisor, or that it is your own draft";

/// Whether `actor` may open cases at all.
pub fn may_create(actor: &Actor) -> Result<(), Refusal> {
    if actor.roles.intersects(CREATORS) {
        return Ok(());
    }
    Err(by_role("creating a case needs one of the roles: reporter, caseworker, supervisor"))
}

/// The draft that `actor` opens.
pub fn create(id: CaseId, new: NewCase, actor: &Actor, now: OffsetDateTime) -> Result<Case, Refusal> {
    may_create(actor)?;
    Ok(Case {
        id,
        tenant_id: actor.tenant_id,
        reference: new.reference,
        version: 1,
        state: State::Draft,
        title: new.title,
        narrative: new.narrative,
        respondent: new.respondent,
        case_type: new.case_type,
        severity: new.severity,
        confidentiality: new.confidentiality,
        reporter_id: actor.principal_id,
        assignee_id: None,
        proposed_by: None,
        decision: None,
        open_information_requests: 0,
        legal_hold: false,
        deadline_extended: false,
        due_at: None,
        clock_paused_at: None,
        notices: deadline::Notices::default(),
        opened_at: now,
        created_at: now,
        updated_at: now,
        closed_at: None,
        attributes: new.attributes,
    })
}

/// Whether `actor` may change the fields of this case in any state at all; the verdict stays while the case moves on.
pub fn authorize_edit(case: &Case, actor: &Actor) -> Result<(), Refusal> {
    let own = case.reporter_id == actor.principal_id && actor.roles.intersects(CREATORS);
    if actor.roles.intersects(STAFF) || own { Ok(()) } else { Err(by_role(EDITORS)) }
}

/// Whether `actor` may delete a case that `reporter` opened, in any state at all; holds for a case that is gone, too.
pub fn authorize_deletion(reporter: PrincipalId, actor: &Actor) -> Result<(), Refusal> {
    let own = reporter == actor.principal_id && actor.roles.intersects(CREATORS);
    if actor.roles.intersects(SUPERVISION) || own { Ok(()) } else { Err(by_role(DELETERS)) }
}

/// Whether `actor` may change anything of the case: its fields or, as supervisor and in every state, its legal hold.
pub fn may_edit(case: &Case, actor: &Actor) -> Result<(), Refusal> {
    if actor.roles.intersects(SUPERVISION) { Ok(()) } else { may_edit_fields(case, actor) }
}

/// The case with its fields changed (version one higher), or why not.
pub fn edit(
    case: &Case,
    changes: CaseChanges,
    actor: &Actor,
    now: OffsetDateTime,
    calendar: &Calendar,
) -> Result<Case, Refusal> {
    let CaseChanges { title, narrative, respondent, case_type, severity, confidentiality, legal_hold, attributes } =
        changes;
    if legal_hold.is_some() && !actor.roles.intersects(SUPERVISION) {
        return Err(by_role("setting or lifting a legal hold needs the role supervisor"));
    }
    let fields_change = title.is_some()
        || narrative.is_some()
        || respondent.is_some()
        || case_type.is_some()
        || severity.is_some()
        || confidentiality.is_some()
        || attributes.is_some();
    if fields_change || legal_hold.is_none() {
        may_edit_fields(case, actor)?;
    }
    let mut next = case.clone();
    next.version += 1;
    next.updated_at = now;
    replace(&mut next.title, title);
    replace(&mut next.narrative, narrative);
    replace(&mut next.respondent, respondent);
    replace(&mut next.case_type, case_type);
    replace(&mut next.confidentiality, confidentiality);
    replace(&mut next.legal_hold, legal_hold);
    replace(&mut next.attributes, attributes);
    if let Some(severity) = severity.filter(|severity| *severity != case.severity) {
        next.severity = severity;
        // The new deadline counts from now, so a pause that began earlier must not be added to it a second time.
        next.clock_paused_at = case.clock_paused_at.map(|_| now);
        if case.due_at.is_some() {
            deadline::begin(&mut next, now, calendar);
        }
    }
    Ok(next)
}

/// Whether `actor` may delete the case for good: an own draft, or (as supervisor) any draft or withdrawn case, without a legal hold.
pub fn may_delete(case: &Case, actor: &Actor) -> Result<(), Refusal> {
    let own_draft = case.state == State::Draft && case.reporter_id == actor.principal_id;
    if !(actor.roles.intersects(SUPERVISION) || own_draft && actor.roles.intersects(CREATORS)) {
        return Err(by_role(DELETERS));
    }
    if !matches!(case.state, State::Draft | State::Withdrawn) {
        return Err(by_state(format!(
            "a case in state `{}` cannot be deleted; only draft and withdrawn cases can",
            case.state
        )));
    }
    if case.legal_hold {
        return Err(by_state("the case is under legal hold; a supervisor must lift the hold first".to_owned()));
    }
    Ok(())
}

fn may_edit_fields(case: &Case, actor: &Actor) -> Result<(), Refusal> {
    let own_draft = case.state == State::Draft && case.reporter_id == actor.principal_id;
    if !(actor.roles.intersects(STAFF) || own_draft && actor.roles.intersects(CREATORS)) {
        return Err(by_role(EDITORS));
    }
    match case.state {
        State::Draft | State::Submitted | State::UnderReview | State::AwaitingInformation | State::Escalated => Ok(()),
        state => Err(by_state(format!("the fields of a case in state `{state}` cannot be changed"))),
    }
}

fn by_role(reason: &str) -> Refusal {
    Refusal::NotAllowed { by_role: true, reason: reason.to_owned() }
}

fn by_state(reason: String) -> Refusal {
    Refusal::NotAllowed { by_role: false, reason }
}

fn replace<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
