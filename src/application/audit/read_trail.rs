//! Read a trail: of a case that the actor may see, of a deleted case, or of the tenant's administration.

use docket_domain::audit::Outcome;
use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::may_see;
use docket_domain::ids::CaseId;
use docket_domain::principal::{Actor, Role, Roles, Scope};

use crate::application::cases::CaseWriting;
use crate::application::error::UseCaseError;
use crate::application::ports::CaseReader;
use crate::application::ports::audit_store::{AuditStore, StoredRecord, TrailRange};
use crate::application::ports::case_store::StoredCase;
use crate::application::request::Caller;

/// Roles that read the trail of every case they may see. Others read only that of cases they take part in.
const READS_TRAILS: Roles = Roles::of(&[Role::Auditor, Role::Supervisor, Role::System]);
/// Roles that read what a deleted case left behind.
const READS_TRAILS_OF_DELETED: Roles = Roles::of(&[Role::Auditor, Role::System]);
/// Roles that read the trail of administrative acts.
const READS_ADMINISTRATION: Roles = Roles::of(&[Role::Auditor, Role::Admin, Role::System]);

/// What reading a trail needs.
#[derive(Clone, Copy)]
pub struct TrailReading<'a> {
    /// The trail.
    pub audit: &'a dyn AuditStore,
    /// The cases, for the question who may see them.
    pub cases: &'a dyn CaseReader,
    /// For recording the look at a restricted case.
    pub writing: &'a CaseWriting,
}

/// A page of at most `limit` records of a case's trail, oldest first.
///
/// Auditors and supervisors read the trail of any case they may see; the case's reporter and assignee that of their own
/// case. What a deleted case left behind is for auditors alone, because nobody takes part in it any more.
pub async fn read_trail(
    parts: TrailReading<'_>,
    caller: &Caller,
    case_id: CaseId,
    range: TrailRange,
    limit: u32,
) -> Result<Vec<StoredRecord>, UseCaseError> {
    let existing = admit_to_trail(parts, caller, case_id, "case.audit.read").await?;
    let records = parts.audit.trail(caller.actor.tenant_id, case_id.0, range, limit).await?;
    if existing.is_none() && records.is_empty() {
        // Of a case that never was there is no record at all, whatever the range.
        let all = TrailRange::default();
        if parts.audit.trail(caller.actor.tenant_id, case_id.0, all, 1).await?.is_empty() {
            return Err(UseCaseError::NotFound("case"));
        }
    }
    Ok(records)
}

/// A page of the tenant's administrative trail (keys, principals), for auditors and administrators.
pub async fn read_administrative_trail(
    audit: &dyn AuditStore,
    caller: &Caller,
    range: TrailRange,
    limit: u32,
) -> Result<Vec<StoredRecord>, UseCaseError> {
    caller.require_scope(Scope::AuditRead)?;
    require_role(&caller.actor, READS_ADMINISTRATION, "the administrative trail", "auditor, admin")?;
    let tenant = caller.actor.tenant_id;
    Ok(audit.trail(tenant, tenant.0, range, limit).await?)
}

/// Decides whether the caller may look at a case's trail; the case, or none when it was deleted.
pub async fn admit_to_trail(
    parts: TrailReading<'_>,
    caller: &Caller,
    case_id: CaseId,
    action: &str,
) -> Result<Option<StoredCase>, UseCaseError> {
    caller.require_scope(Scope::AuditRead)?;
    let actor = &caller.actor;
    let Some(stored) = parts.cases.get(actor.tenant_id, case_id).await? else {
        let administration = case_id.0 == actor.tenant_id.0;
        let entitled = actor.roles.intersects(READS_TRAILS_OF_DELETED) && !administration;
        return if entitled { Ok(None) } else { Err(UseCaseError::NotFound("case")) };
    };
    if !may_see(actor, &stored.case) {
        parts.writing.record_look(caller, stored, action, Outcome::Denied).await?;
        return Err(UseCaseError::NotFound("case"));
    }
    let takes_part =
        stored.case.reporter_id == actor.principal_id || stored.case.assignee_id == Some(actor.principal_id);
    if !takes_part {
        let who = "auditor, supervisor; or take part in the case as reporter or assignee";
        require_role(actor, READS_TRAILS, "the trail of a case", who)?;
    }
    if stored.case.confidentiality == Confidentiality::Restricted {
        parts.writing.record_look(caller, stored.clone(), action, Outcome::Allowed).await?;
    }
    Ok(Some(stored))
}

/// Fails unless the actor holds one of the roles.
pub fn require_role(actor: &Actor, roles: Roles, what: &str, who: &str) -> Result<(), UseCaseError> {
    if actor.roles.intersects(roles) {
        Ok(())
    } else {
        Err(UseCaseError::Forbidden(format!("reading {what} needs one of the roles: {who}")))
    }
}
