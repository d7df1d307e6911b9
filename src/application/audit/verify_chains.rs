//! Verify chains: every record's hash, place and columns, and that each chain ends where its case says.

use std::collections::BTreeMap;

use docket_domain::audit::chain::{ChainFault, verify_text};
use docket_domain::audit::{AuditRecord, ChainHead};
use docket_domain::ids::TenantId;
use uuid::Uuid;

use crate::application::error::UseCaseError;
use crate::application::ports::audit_store::{AuditStore, StoredRecord, TrailRange};

/// Records read at once; bounds the memory of a verification.
const RECORDS_AT_ONCE: u32 = 1_000;
/// How a record that ends the trail of a deleted case is named.
const DELETION: &str = "case.delete";

/// What verifying one chain found.
#[derive(Debug, Clone)]
pub struct ChainReport {
    /// The chain.
    pub chain_id: Uuid,
    /// Where the verified part ends.
    pub head: ChainHead,
    /// The first fault.
    pub fault: Option<ChainFault>,
}

/// A chain being walked.
struct Walk {
    head: ChainHead,
    fault: Option<ChainFault>,
    ends_with_deletion: bool,
}

impl Walk {
    const START: Self = Self { head: ChainHead::EMPTY, fault: None, ends_with_deletion: false };

    fn step(&mut self, tenant: TenantId, record: &StoredRecord) {
        if self.fault.is_some() {
            return;
        }
        match verify_record(tenant, &self.head, record) {
            Ok(head) => self.head = head,
            Err(fault) => self.fault = Some(fault),
        }
        self.ends_with_deletion = record.action == DELETION && record.outcome == "allowed";
    }
}

/// Verifies the given chains (in ascending order), also while they grow.
///
/// A chain and the head that its case keeps are written together, but read one after the other here: heads are read
/// last, and records that came in between are read up to exactly that head.
pub async fn verify_chains(
    store: &dyn AuditStore,
    tenant: TenantId,
    chains: &[Uuid],
) -> Result<Vec<ChainReport>, UseCaseError> {
    let mut walks: BTreeMap<Uuid, Walk> = chains.iter().map(|chain| (*chain, Walk::START)).collect();
    let mut after = (Uuid::nil(), 0);
    loop {
        let records = store.records(tenant, chains, after, RECORDS_AT_ONCE).await?;
        let Some(last) = records.last() else { break };
        after = (last.chain_id, last.seq);
        for record in &records {
            if let Some(walk) = walks.get_mut(&record.chain_id) {
                walk.step(tenant, record);
            }
        }
        if records.len() < RECORDS_AT_ONCE as usize {
            break;
        }
    }
    let heads: BTreeMap<Uuid, ChainHead> = store.heads(tenant, chains).await?.into_iter().collect();
    let mut reports = Vec::with_capacity(walks.len());
    for (chain_id, mut walk) in walks {
        if walk.fault.is_none() {
            walk.fault = end_fault(store, tenant, chain_id, heads.get(&chain_id), &mut walk).await?;
        }
        reports.push(ChainReport { chain_id, head: walk.head, fault: walk.fault });
    }
    Ok(reports)
}

/// Holds the end of a chain against the head that its case keeps.
async fn end_fault(
    store: &dyn AuditStore,
    tenant: TenantId,
    chain_id: Uuid,
    expected: Option<&ChainHead>,
    walk: &mut Walk,
) -> Result<Option<ChainFault>, UseCaseError> {
    let Some(expected) = expected else {
        // The case may have been deleted since the walk: read on to the record that says so.
        catch_up(store, tenant, chain_id, u64::MAX, walk).await?;
        let seq = walk.head.seq;
        let missing = seq > 0 && !walk.ends_with_deletion && chain_id != tenant.0;
        return Ok(walk.fault.take().or_else(|| missing.then_some(ChainFault::CaseMissing { seq })));
    };
    catch_up(store, tenant, chain_id, expected.seq, walk).await?;
    if walk.fault.is_some() {
        return Ok(walk.fault.take());
    }
    let (expected, found) = (*expected, walk.head);
    Ok(if found.seq != expected.seq {
        Some(ChainFault::HeadMismatch { expected: expected.seq, found: found.seq })
    } else if found.hash != expected.hash {
        Some(ChainFault::HeadDiffers { seq: found.seq })
    } else {
        None
    })
}

/// Walks on to the record `until`, or as far as there are records.
async fn catch_up(
    store: &dyn AuditStore,
    tenant: TenantId,
    chain_id: Uuid,
    until: u64,
    walk: &mut Walk,
) -> Result<(), UseCaseError> {
    while walk.fault.is_none() && walk.head.seq < until {
        let range = TrailRange { after_seq: walk.head.seq, ..TrailRange::default() };
        let records = store.trail(tenant, chain_id, range, RECORDS_AT_ONCE).await?;
        for record in records.iter().filter(|record| record.seq <= until) {
            walk.step(tenant, record);
        }
        if records.len() < RECORDS_AT_ONCE as usize {
            break;
        }
    }
    Ok(())
}

/// One record: its place, its hash, and that the columns say what the record says.
fn verify_record(tenant: TenantId, head: &ChainHead, stored: &StoredRecord) -> Result<ChainHead, ChainFault> {
    let seq = stored.seq;
    let next = verify_text(head, seq, stored.canonical.as_bytes(), stored.prev_hash, stored.hash)?;
    let record: AuditRecord = serde_json::from_str(&stored.canonical).map_err(|_| ChainFault::Unreadable { seq })?;
    let columns = [
        ("tenant_id", record.tenant_id == tenant),
        ("chain_id", record.chain_id == stored.chain_id),
        ("seq", record.seq == seq),
        ("occurred_at", record.occurred_at == stored.occurred_at),
        ("actor_id", record.actor_id == stored.actor_id),
        ("action", record.action == stored.action),
        ("outcome", record.outcome.as_str() == stored.outcome),
    ];
    match columns.into_iter().find(|(_, equal)| !equal) {
        Some((column, _)) => Err(ChainFault::ColumnDiffers { seq, column }),
        None => Ok(next),
    }
}
