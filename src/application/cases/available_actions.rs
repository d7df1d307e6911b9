//! Available actions: every command with allowed or refused, and the guard that refuses it in words.

use docket_domain::case::decide::{Verdict, verdicts};
use docket_domain::case::visibility::may_see;
use docket_domain::ids::CaseId;
use docket_domain::principal::Scope;

use crate::application::error::UseCaseError;
use crate::application::ports::case_store::StoredCase;
use crate::application::ports::{CaseReader, Clock};
use crate::application::request::Caller;

/// The case and the verdict on each command, for this actor, now. Reading them is not recorded: they reveal no content.
pub async fn available_actions(
    reader: &dyn CaseReader,
    clock: &dyn Clock,
    caller: &Caller,
    case_id: CaseId,
) -> Result<(StoredCase, Vec<Verdict>), UseCaseError> {
    caller.require_scope(Scope::CasesRead)?;
    let stored = reader.get(caller.actor.tenant_id, case_id).await?;
    let stored = stored.filter(|stored| may_see(&caller.actor, &stored.case)).ok_or(UseCaseError::NotFound("case"))?;
    let verdicts = verdicts(&stored.case, &caller.actor, clock.now());
    Ok((stored, verdicts))
}
