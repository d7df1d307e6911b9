//! Available actions: every command with allowed or refused, and the guard that refuses it in words.

use docket_domain::audit::Outcome;
use docket_domain::case::decide::{Verdict, verdicts};
use docket_domain::case::visibility::may_see;
use docket_domain::ids::CaseId;
use docket_domain::principal::Scope;

use super::unit_of_work::CaseWriting;
use crate::application::error::UseCaseError;
use crate::application::ports::CaseReader;
use crate::application::ports::case_store::StoredCase;
use crate::application::request::Caller;

/// The case and the verdict on each command, for this actor, now. Reading them is not recorded, since they reveal no
/// content; being denied them is, as everywhere.
pub async fn available_actions(
    reader: &dyn CaseReader,
    writing: &CaseWriting,
    caller: &Caller,
    case_id: CaseId,
) -> Result<(StoredCase, Vec<Verdict>), UseCaseError> {
    caller.require_scope(Scope::CasesRead)?;
    let stored = reader.get(caller.actor.tenant_id, case_id).await?.ok_or(UseCaseError::NotFound("case"))?;
    if !may_see(&caller.actor, &stored.case) {
        writing.record_look(caller, stored, "case.actions", Outcome::Denied).await?;
        return Err(UseCaseError::NotFound("case"));
    }
    let verdicts = verdicts(&stored.case, &caller.actor, writing.clock.now());
    Ok((stored, verdicts))
}
