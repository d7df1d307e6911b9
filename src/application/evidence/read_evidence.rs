//! Read evidence: what is attached to a case, and the bytes, for whoever may see the case.

use docket_domain::ids::{CaseId, EvidenceId};

use crate::application::cases::CaseWriting;
use crate::application::cases::read_case::read_case;
use crate::application::error::UseCaseError;
use crate::application::ports::CaseReader;
use crate::application::ports::case_reader::EvidenceItem;
use crate::application::request::Caller;

/// At most `limit` attachments of a case after one of them, oldest first.
pub async fn list_evidence(
    cases: &dyn CaseReader,
    writing: &CaseWriting,
    caller: &Caller,
    case_id: CaseId,
    after: Option<EvidenceId>,
    limit: u32,
) -> Result<Vec<EvidenceItem>, UseCaseError> {
    read_case(cases, writing, caller, case_id, "case.evidence.list").await?;
    Ok(cases.evidence(caller.actor.tenant_id, case_id, after, limit).await?)
}

/// One attachment; `action` tells in the trail of a restricted case whether its bytes were read, too.
pub async fn read_evidence(
    cases: &dyn CaseReader,
    writing: &CaseWriting,
    caller: &Caller,
    case_id: CaseId,
    evidence_id: EvidenceId,
    action: &str,
) -> Result<EvidenceItem, UseCaseError> {
    read_case(cases, writing, caller, case_id, action).await?;
    // The list after the identifier just below it begins with the attachment itself, if it is there.
    let below = EvidenceId(uuid::Uuid::from_u128(evidence_id.0.as_u128().saturating_sub(1)));
    let found = cases.evidence(caller.actor.tenant_id, case_id, Some(below), 1).await?.pop();
    found.filter(|item| item.id == evidence_id).ok_or(UseCaseError::NotFound("evidence"))
}
