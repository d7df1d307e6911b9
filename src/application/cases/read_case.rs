//! Read a case: one case, if the actor may know of it; reads of restricted cases, and denied ones, leave a record.

use docket_domain::audit::Outcome;
use docket_domain::case::visibility::may_see;
use docket_domain::case::{Case, Confidentiality};
use docket_domain::ids::CaseId;
use docket_domain::principal::Scope;

use super::unit_of_work::CaseWriting;
use crate::application::error::UseCaseError;
use crate::application::ports::CaseReader;
use crate::application::request::Caller;

/// The case, or `NotFound` alike for a case that does not exist and one the actor may not see.
pub async fn read_case(
    reader: &dyn CaseReader,
    writing: &CaseWriting,
    caller: &Caller,
    case_id: CaseId,
    action: &str,
) -> Result<Case, UseCaseError> {
    caller.require_scope(Scope::CasesRead)?;
    let stored = reader.get(caller.actor.tenant_id, case_id).await?.ok_or(UseCaseError::NotFound("case"))?;
    if !may_see(&caller.actor, &stored.case) {
        writing.record_look(caller, stored, action, Outcome::Denied).await?;
        return Err(UseCaseError::NotFound("case"));
    }
    let case = stored.case.clone();
    if case.confidentiality == Confidentiality::Restricted {
        writing.record_look(caller, stored, action, Outcome::Allowed).await?;
    }
    Ok(case)
}
