//! Verify a part of a tenant's trail: as much as fits into one request, and where the next one goes on.
//!
//! Chains come first, in the order of their ids; then the checkpoints, in the order of their numbers. The parts together
//! find what a verification in one go finds: every chain and every checkpoint is judged as a whole in one of them.

use docket_domain::ids::TenantId;
use uuid::Uuid;

use super::verify_chains::verify_chains;
use super::verify_checkpoints::{CheckpointBounds, CheckpointPlace, Witness, verify_checkpoints};
use super::verify_trail::{MAX_FAULTS, TrailFault, TrailReport};
use crate::application::error::UseCaseError;
use crate::application::ports::Signer;
use crate::application::ports::audit_store::AuditStore;

/// Chains verified at once.
const CHAINS_AT_ONCE: u32 = 500;

/// Where a verification goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After this chain; with none at the first.
    Chain(Option<Uuid>),
    /// After this checkpoint; all chains are done.
    Checkpoint(CheckpointPlace),
}

impl Place {
    /// The beginning.
    pub const START: Self = Self::Chain(None);

    /// A form for cursors.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Chain(after) => [&[0][..], after.unwrap_or_default().as_bytes()].concat(),
            Self::Checkpoint(CheckpointPlace { number, digest, witnessed, renewed }) => {
                [&[1, u8::from(witnessed) | u8::from(renewed) << 1][..], &number.to_be_bytes(), &digest].concat()
            }
        }
    }

    /// Reads what [`Self::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, chain) => Uuid::from_slice(chain).ok().map(|chain| Self::Chain(Some(chain))),
            (1, rest) => {
                let (flags, rest) = rest.split_first()?;
                let (number, digest) = rest.split_at_checked(8)?;
                let number = u64::from_be_bytes(number.try_into().ok()?);
                let digest = digest.try_into().ok()?;
                let (witnessed, renewed) = (flags & 1 == 1, flags & 2 == 2);
                Some(Self::Checkpoint(CheckpointPlace { number, digest, witnessed, renewed }))
            }
            _ => None,
        }
    }
}

/// How much is verified in one go; at least one batch of chains or one checkpoint always is.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Chains at most.
    pub chains: u32,
    /// No further batch of chains, and no further checkpoint, is begun after this many records or listed heads.
    pub records: u64,
}

/// Verifies from a place on until the budget is used up or the trail ends.
pub async fn verify_part(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    tenant: TenantId,
    witness: Option<Witness>,
    from: Place,
    budget: Budget,
) -> Result<TrailReport, UseCaseError> {
    let mut report = TrailReport::default();
    let from = match from {
        Place::Checkpoint(place) => place,
        Place::Chain(after) => match chains(store, tenant, after, budget, &mut report).await? {
            Some(next) => {
                report.next = Some(Place::Chain(Some(next)));
                return Ok(report);
            }
            None => CheckpointPlace::default(),
        },
    };
    let max_faults = MAX_FAULTS.saturating_sub(report.faults.len()).max(1);
    let bounds = CheckpointBounds { max_faults, max_heads: budget.records.saturating_sub(report.records).max(1) };
    let found = verify_checkpoints(store, signer, tenant, witness, from, bounds).await?;
    report.checkpoints = found.checkpoints;
    report.next = found.next.map(Place::Checkpoint);
    report.faults.extend(found.faults.into_iter().map(|(chain_id, fault)| {
        let place = chain_id.map(|chain| format!("chain {chain}: ")).unwrap_or_default();
        TrailFault { chain_id, detail: format!("{place}{fault}") }
    }));
    Ok(report)
}

/// Verifies chains; the last one done when the budget was used up first.
async fn chains(
    store: &dyn AuditStore,
    tenant: TenantId,
    mut after: Option<Uuid>,
    budget: Budget,
    report: &mut TrailReport,
) -> Result<Option<Uuid>, UseCaseError> {
    let mut left = budget.chains.max(1);
    loop {
        let chains = store.chains(tenant, after, left.min(CHAINS_AT_ONCE)).await?;
        let Some(last) = chains.last() else { return Ok(None) };
        after = Some(*last);
        left = left.saturating_sub(u32::try_from(chains.len()).unwrap_or(u32::MAX));
        for chain in verify_chains(store, tenant, &chains).await? {
            report.chains += 1;
            report.records += chain.head.seq;
            if let Some(fault) = chain.fault.filter(|_| report.faults.len() < MAX_FAULTS) {
                let chain_id = chain.chain_id;
                let detail = format!("chain {chain_id}: {fault}");
                report.faults.push(TrailFault { chain_id: Some(chain_id), detail });
            }
        }
        if left == 0 || report.records >= budget.records {
            return Ok(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_cursor() {
        let checkpoint = CheckpointPlace { number: 7, digest: [9; 32], witnessed: true, renewed: false };
        let renewed = CheckpointPlace { witnessed: false, renewed: true, ..checkpoint };
        for place in [Place::Checkpoint(renewed), Place::Chain(Some(Uuid::from_u128(5))), Place::Checkpoint(checkpoint)]
        {
            assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
        }
        for bad in [&[][..], &[0], &[1], &[1, 1], &[1; 12], &[2; 17], &[0; 18]] {
            assert_eq!(Place::from_bytes(bad), None, "{bad:?}");
        }
    }
}
