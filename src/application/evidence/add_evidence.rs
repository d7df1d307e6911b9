//! Add evidence: attach a received file to a case, so that rows and bytes cannot drift apart.
//!
//! 1. The bytes are staged, verified and judged (`receive_file`).
//! 2. They are promoted to the address of their content.
//! 3. The row is committed with the transition; only now the attachment exists.
//! 4. The content is looked for once more and, if a sweeper took it between 2 and 3, promoted again; a sweeper that comes
//!    later finds the row. Then the staged bytes go.
//!
//! A crash between 2 and 3 leaves content that no row knows, one before 4 staged bytes: the sweeper removes both.

use docket_domain::audit::Outcome;
use docket_domain::case::visibility::may_see;
use docket_domain::case::{Command, CommandInput, decide};

use super::receive_file::{Received, discard};
use crate::application::cases::CaseWriting;
use crate::application::cases::transition_case::{StoredFile, TransitionCommand, transition_case};
use crate::application::cases::unit_of_work::ChangeRequest;
use crate::application::error::UseCaseError;
use crate::application::ports::{BlobStore, CaseReader};
use crate::application::request::Written;

/// Decides before any byte is taken in whether the upload can succeed at all; who may not is recorded.
pub async fn admit_upload(
    cases: &dyn CaseReader,
    writing: &CaseWriting,
    request: &ChangeRequest<'_>,
) -> Result<(), UseCaseError> {
    let ChangeRequest { caller, case_id, claim, action, .. } = *request;
    writing.require_write(request).await?;
    if claim.is_none() {
        return Err(UseCaseError::KeyMissing);
    }
    let stored = cases.get(caller.actor.tenant_id, case_id).await?.ok_or(UseCaseError::NotFound("case"))?;
    if !may_see(&caller.actor, &stored.case) {
        writing.record_look(caller, stored, action, Outcome::Denied).await?;
        return Err(UseCaseError::NotFound("case"));
    }
    match decide::authorize(&stored.case, Command::AddEvidence, &caller.actor) {
        Ok(()) => Ok(()),
        Err(refusal) => Err(writing.deny(caller, stored, action, refusal, false).await?),
    }
}

/// Attaches a received file; see the steps at the top of this file.
pub async fn add_evidence(
    blobs: &dyn BlobStore,
    writing: &CaseWriting,
    request: ChangeRequest<'_>,
    received: Received,
    description: String,
) -> Result<Written, UseCaseError> {
    let outcome = attach(blobs, writing, request, &received, description).await;
    discard(blobs, received.staged).await;
    outcome
}

async fn attach(
    blobs: &dyn BlobStore,
    writing: &CaseWriting,
    request: ChangeRequest<'_>,
    received: &Received,
    description: String,
) -> Result<Written, UseCaseError> {
    blobs.promote(received.staged, received.address).await?;
    let command = TransitionCommand {
        command: Command::AddEvidence,
        input: Ok(CommandInput::default()),
        file: Some(StoredFile {
            sha256: received.address.sha256,
            size_bytes: received.size_bytes,
            media_type: received.kind.media_type.to_owned(),
            file_name: received.file_name.clone(),
            description,
            fresh: true,
        }),
    };
    let written = transition_case(writing, request, &command).await?;
    if blobs.size(received.address).await? != Some(received.size_bytes) {
        blobs.promote(received.staged, received.address).await?;
    }
    Ok(written)
}
