//! Delete a case: drafts and withdrawn cases only, never under a legal hold; the audit trail stays.

use docket_domain::case::{EventType, fields};
use docket_domain::ids::PrincipalId;
use serde::Deserialize;

use super::unit_of_work::{CaseWriting, ChangeRequest, plain};
use crate::application::error::UseCaseError;
use crate::application::ports::case_store::RowChange;
use crate::application::request::Written;

/// Deletes a case for good. Repeated under the same key it gives the stored answer, though the case is gone.
pub async fn delete_case(writing: &CaseWriting, request: ChangeRequest<'_>) -> Result<Written, UseCaseError> {
    writing.require_write(&request).await?;
    let actor = &request.caller.actor;
    let authorize = |reporter| fields::authorize_deletion(reporter, actor);
    let deleted = writing
        .change(
            request,
            |case| authorize(case.reporter_id),
            |case, now| {
                fields::may_delete(case, actor).map_err(UseCaseError::refused)?;
                let mut last = case.clone();
                last.version += 1;
                last.updated_at = now;
                Ok(plain(RowChange::Delete, last, "case.delete".to_owned(), EventType::CaseDeleted, None))
            },
        )
        .await;
    match (deleted, request.claim) {
        (Err(UseCaseError::NotFound(what)), Some(claim)) => {
            let written = writing.answer_after_deletion(request.caller, claim).await?;
            // The case can no longer say who may know of it; the answer that shows its last form can.
            let allowed = |written: &Written| reporter(&written.rendered.body).is_some_and(|id| authorize(id).is_ok());
            written.filter(allowed).ok_or(UseCaseError::NotFound(what))
        }
        (deleted, _) => deleted,
    }
}

/// The one member of a stored answer that authorization needs.
#[derive(Deserialize)]
struct LastForm {
    reporter_id: PrincipalId,
}

fn reporter(body: &str) -> Option<PrincipalId> {
    serde_json::from_str::<LastForm>(body).ok().map(|last| last.reporter_id)
}
