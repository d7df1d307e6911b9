//! Verify the trail: of one case, or all chains and checkpoints of a tenant, in bounded memory.

use docket_domain::ids::{CaseId, TenantId};
use docket_domain::principal::{Role, Roles, Scope};
use uuid::Uuid;

use super::read_trail::{TrailReading, admit_to_trail, require_role};
use super::verify_chains::{ChainReport, verify_chains};
use super::verify_checkpoints::Witness;
use super::verify_part::{Budget, Place, verify_part};
use crate::application::error::UseCaseError;
use crate::application::ports::Signer;
use crate::application::ports::audit_store::AuditStore;
use crate::application::request::Caller;

/// What is verified between two reports of progress.
const STEP: Budget = Budget { chains: 500, records: 100_000 };
/// Faults reported at most; the verdict is the same after the first.
pub const MAX_FAULTS: usize = 100;
/// Roles that verify the whole trail of their tenant.
const VERIFIES_ALL: Roles = Roles::of(&[Role::Auditor, Role::System]);

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailFault {
    /// The chain, unless a checkpoint itself is wrong.
    pub chain_id: Option<Uuid>,
    /// What is wrong, in a sentence that says where.
    pub detail: String,
}

/// What verifying a tenant's trail found.
#[derive(Debug, Clone, Default)]
pub struct TrailReport {
    /// How many chains were walked.
    pub chains: u64,
    /// How many records were found in order.
    pub records: u64,
    /// How many checkpoints were verified.
    pub checkpoints: u64,
    /// What is wrong, at most [`MAX_FAULTS`]; empty when all is well.
    pub faults: Vec<TrailFault>,
    /// Where to go on; none when the trail was verified to its end.
    pub next: Option<Place>,
}

/// Verifies the trail of one case for a caller who may read it.
pub async fn verify_case_trail(
    parts: TrailReading<'_>,
    caller: &Caller,
    case_id: CaseId,
) -> Result<ChainReport, UseCaseError> {
    let existing = admit_to_trail(parts, caller, case_id, "case.audit.verify").await?;
    let report = verify_chains(parts.audit, caller.actor.tenant_id, &[case_id.0]).await?.pop();
    let report = report.ok_or(UseCaseError::NotFound("case"))?;
    if existing.is_none() && report.head.seq == 0 && report.fault.is_none() {
        return Err(UseCaseError::NotFound("case"));
    }
    Ok(report)
}

/// Verifies a part of the trail of the caller's tenant, for auditors; `next` in the report says where to go on.
pub async fn verify_tenant_part(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    caller: &Caller,
    witness: Option<Witness>,
    from: Place,
    budget: Budget,
) -> Result<TrailReport, UseCaseError> {
    caller.require_scope(Scope::AuditRead)?;
    require_role(&caller.actor, VERIFIES_ALL, "the whole trail", "auditor")?;
    verify_part(store, signer, caller.actor.tenant_id, witness, from, budget).await
}

/// Verifies all chains and checkpoints of a tenant; `progress` is told the number of chains done.
pub async fn verify_trail(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    tenant: TenantId,
    witness: Option<Witness>,
    mut progress: impl FnMut(u64) + Send,
) -> Result<TrailReport, UseCaseError> {
    let mut report = TrailReport::default();
    let mut place = Some(Place::START);
    while let Some(from) = place {
        let part = verify_part(store, signer, tenant, witness, from, STEP).await?;
        report.chains += part.chains;
        report.records += part.records;
        report.checkpoints += part.checkpoints;
        report.faults.extend(part.faults);
        report.faults.truncate(MAX_FAULTS);
        place = part.next;
        progress(report.chains);
    }
    Ok(report)
}
