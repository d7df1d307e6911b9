//! Delete a case: drafts and withdrawn cases only, never under a legal hold; the audit trail stays.

use docket_domain::case::{EventType, fields};
use docket_domain::principal::Scope;

use super::unit_of_work::{CaseWriting, ChangeRequest, plain};
use crate::application::error::UseCaseError;
use crate::application::ports::case_store::RowChange;
use crate::application::request::Written;

/// Deletes a case for good.
pub async fn delete_case(writing: &CaseWriting, request: ChangeRequest<'_>) -> Result<Written, UseCaseError> {
    request.caller.require_scope(Scope::CasesWrite)?;
    writing
        .change(request, |case, now| {
            fields::may_delete(case, &request.caller.actor).map_err(UseCaseError::refused)?;
            let mut last = case.clone();
            last.version += 1;
            last.updated_at = now;
            Ok(plain(RowChange::Delete, last, "case.delete".to_owned(), EventType::CaseDeleted, None))
        })
        .await
}
