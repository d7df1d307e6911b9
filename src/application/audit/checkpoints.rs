//! Checkpoints: sign the heads that moved since the last one, and list what was signed.

use docket_domain::audit::checkpoint::CheckpointStatement;
use docket_domain::ids::TenantId;
use docket_domain::principal::{Role, Roles, Scope};

use super::read_trail::require_role;
use crate::application::cases::CaseWriting;
use crate::application::error::UseCaseError;
use crate::application::ports::audit_store::{AuditStore, StoredCheckpoint};
use crate::application::ports::case_store::{AnswerToStore, KeyScope};
use crate::application::ports::signer::Signed;
use crate::application::ports::{Clock, Signer};
use crate::application::request::{Caller, Claim, Rendered, Written};

/// Roles that make and list checkpoints.
const KEEPS_CHECKPOINTS: Roles = Roles::of(&[Role::Auditor, Role::Admin, Role::System]);

/// How often making one begins again because another was made meanwhile.
const ATTEMPTS: u32 = 5;

/// Makes the next checkpoint for a caller who sent a key, or answers as before when the key was used for it.
pub async fn post_checkpoint(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    writing: &CaseWriting,
    caller: &Caller,
    claim: Option<&Claim>,
    render: &(dyn Fn(&StoredCheckpoint) -> Rendered + Send + Sync),
) -> Result<Written, UseCaseError> {
    require_keeper(caller)?;
    let claim = claim.ok_or(UseCaseError::KeyMissing)?;
    let (tenant, principal_id) = (caller.actor.tenant_id, caller.actor.principal_id);
    let scope = KeyScope { principal_id, key: &claim.key };
    for _ in 0..ATTEMPTS {
        let now = writing.clock.now();
        match writing.store.load_answer(tenant, scope).await? {
            Some(answer) if answer.expired => writing.store.forget_expired(tenant, scope).await?,
            Some(answer) if answer.fingerprint != claim.fingerprint => return Err(UseCaseError::KeyReused),
            Some(answer) => return Ok(Written { rendered: answer.rendered, replayed: true }),
            None => {}
        }
        let answer = |made: &StoredCheckpoint| {
            Some(AnswerToStore {
                principal_id,
                key: claim.key.clone(),
                fingerprint: claim.fingerprint,
                rendered: render(made),
                expires_at: now + writing.key_lifetime,
            })
        };
        if let Some(made) = store.checkpoint(tenant, now, &sign_with(signer), &answer).await? {
            return Ok(Written { rendered: render(&made), replayed: false });
        }
    }
    Err(UseCaseError::Contention)
}

/// Makes the next checkpoint of a tenant, without a request (the command line).
pub async fn make_checkpoint(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    clock: &dyn Clock,
    tenant: TenantId,
) -> Result<StoredCheckpoint, UseCaseError> {
    for _ in 0..ATTEMPTS {
        if let Some(made) = store.checkpoint(tenant, clock.now(), &sign_with(signer), &|_| None).await? {
            return Ok(made);
        }
    }
    Err(UseCaseError::Contention)
}

fn sign_with(signer: &dyn Signer) -> impl Fn(&CheckpointStatement) -> Signed + Send + Sync {
    |statement| signer.sign(&statement.to_bytes())
}

/// Fails unless the caller may make and list checkpoints.
pub fn require_keeper(caller: &Caller) -> Result<(), UseCaseError> {
    caller.require_scope(Scope::AuditRead)?;
    require_role(&caller.actor, KEEPS_CHECKPOINTS, "checkpoints", "auditor, admin")
}
