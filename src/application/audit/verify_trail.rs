//! Verify the trail: of one case, or all chains and checkpoints of a tenant, in bounded memory.

use docket_domain::ids::{CaseId, TenantId};
use docket_domain::principal::{Role, Roles, Scope};
use uuid::Uuid;

use super::read_trail::{TrailReading, admit_to_trail, require_role};
use super::verify_chains::{ChainReport, verify_chains};
use super::verify_checkpoints::{Witness, verify_checkpoints};
use crate::application::error::UseCaseError;
use crate::application::ports::Signer;
use crate::application::ports::audit_store::AuditStore;
use crate::application::request::Caller;

/// Chains verified at once.
const CHAINS_AT_ONCE: u32 = 500;
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

/// Verifies the whole trail of the caller's tenant, for auditors.
pub async fn verify_tenant_trail(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    caller: &Caller,
    witness: Option<Witness>,
) -> Result<TrailReport, UseCaseError> {
    caller.require_scope(Scope::AuditRead)?;
    require_role(&caller.actor, VERIFIES_ALL, "the whole trail", "auditor")?;
    verify_trail(store, signer, caller.actor.tenant_id, witness, |_| {}).await
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
    let mut after = None;
    loop {
        let chains = store.chains(tenant, after, CHAINS_AT_ONCE).await?;
        let Some(last) = chains.last() else { break };
        after = Some(*last);
        for chain in verify_chains(store, tenant, &chains).await? {
            report.chains += 1;
            report.records += chain.head.seq;
            if let Some(fault) = chain.fault.filter(|_| report.faults.len() < MAX_FAULTS) {
                let chain_id = chain.chain_id;
                let detail = format!("chain {chain_id}: {fault}");
                report.faults.push(TrailFault { chain_id: Some(chain_id), detail });
            }
        }
        progress(report.chains);
    }
    let room = MAX_FAULTS.saturating_sub(report.faults.len()).max(1);
    let found = verify_checkpoints(store, signer, tenant, witness, room).await?;
    report.checkpoints = found.checkpoints;
    report.faults.extend(found.faults.into_iter().map(|(chain_id, fault)| {
        let place = chain_id.map(|chain| format!("chain {chain}: ")).unwrap_or_default();
        TrailFault { chain_id, detail: format!("{place}{fault}") }
    }));
    Ok(report)
}
