//! Edit a case: change its fields, or set and lift its legal hold.

use docket_domain::case::{CaseChanges, EventType, fields};

use super::unit_of_work::{CaseWriting, ChangeRequest, plain};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::case_store::RowChange;
use crate::application::request::Written;

/// Changes fields. `changes` is the parsed input or what was wrong with it.
pub async fn edit_case(
    writing: &CaseWriting,
    request: ChangeRequest<'_>,
    changes: &Result<CaseChanges, Vec<Invalid>>,
) -> Result<Written, UseCaseError> {
    writing.require_write(&request).await?;
    let actor = &request.caller.actor;
    let calendar = writing.calendars.rules(actor.tenant_id).await?;
    writing
        .change(
            request,
            |case| fields::authorize_edit(case, actor),
            |case, now| {
                // Who may change nothing here learns that, and not what was wrong with the input.
                fields::may_edit(case, &request.caller.actor).map_err(UseCaseError::refused)?;
                let changes = changes.clone().map_err(UseCaseError::Invalid)?;
                let next = fields::edit(case, changes, &request.caller.actor, now, &calendar)
                    .map_err(UseCaseError::refused)?;
                Ok(plain(RowChange::Fields, next, "case.update".to_owned(), EventType::CaseUpdated, None))
            },
        )
        .await
}
