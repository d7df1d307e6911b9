//! The hash chain: appending to it and verifying it.

use sha2::{Digest, Sha256};

use super::record::AuditRecord;

/// Separates these hashes from every other use of SHA-256.
const DOMAIN_TAG: &[u8] = b"docket:audit:v1";

/// The end of a chain: how many records it has and the hash of the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHead {
    /// The number of records, which is the `seq` of the last; 0 for a new chain.
    pub seq: u64,
    /// The hash of the last record, 32 zero bytes for a new chain.
    pub hash: [u8; 32],
}

impl ChainHead {
    /// The head of a chain without records.
    pub const EMPTY: Self = Self { seq: 0, hash: [0; 32] };

    /// The head after `record`, which must carry `seq + 1`.
    pub fn append(&self, record: &AuditRecord) -> Result<Self, serde_json::Error> {
        debug_assert_eq!(record.seq, self.seq + 1, "records are appended in sequence");
        Ok(Self { seq: record.seq, hash: link_hash(&self.hash, &record.canonical()?) })
    }
}

/// `SHA-256(domain tag || previous hash || canonical record)`.
pub fn link_hash(previous: &[u8; 32], canonical: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(DOMAIN_TAG);
    hasher.update(previous);
    hasher.update(canonical);
    hasher.finalize().into()
}

/// What is wrong with a chain, and where first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainFault {
    /// A record is missing or doubled.
    #[error("record {expected} is missing: found {found} in its place")]
    Gap {
        /// The sequence number that should stand here.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// A record's stored predecessor is not the hash of the record before it.
    #[error("record {seq} does not follow from the record before it")]
    BrokenLink {
        /// Where.
        seq: u64,
    },
    /// A record's content does not give its stored hash.
    #[error("record {seq} was changed after it was written")]
    ContentChanged {
        /// Where.
        seq: u64,
    },
    /// A record cannot be brought into canonical form.
    #[error("record {seq} cannot be read")]
    Unreadable {
        /// Where.
        seq: u64,
    },
    /// A column that repeats a member of the record says something else than the record.
    #[error("record {seq}: the column `{column}` contradicts the record")]
    ColumnDiffers {
        /// Where.
        seq: u64,
        /// Which column.
        column: &'static str,
    },
    /// The chain has as many records as the case says, but the last is another one.
    #[error("record {seq} is not the one that the case's head names")]
    HeadDiffers {
        /// The last record.
        seq: u64,
    },
    /// There is no case (any more), and the last record is not that of its deletion.
    #[error("there is no case of this trail, but record {seq} is not that of a deletion")]
    CaseMissing {
        /// The last record.
        seq: u64,
    },
    /// The chain ends elsewhere than the case's head says.
    #[error("the chain ends at record {found}, but the case says {expected}")]
    HeadMismatch {
        /// Records according to the case.
        expected: u64,
        /// Records found.
        found: u64,
    },
}

/// Verifies a chain of (record, stored previous hash, stored hash) in order; the head it ends with, or the first fault.
pub fn verify_chain<'a>(
    records: impl IntoIterator<Item = (&'a AuditRecord, [u8; 32], [u8; 32])>,
) -> Result<ChainHead, ChainFault> {
    let mut head = ChainHead::EMPTY;
    for (record, stored_previous, stored_hash) in records {
        head = verify_link(&head, record, stored_previous, stored_hash)?;
    }
    Ok(head)
}

/// Verifies one record against the head before it.
pub fn verify_link(
    head: &ChainHead,
    record: &AuditRecord,
    stored_previous: [u8; 32],
    stored_hash: [u8; 32],
) -> Result<ChainHead, ChainFault> {
    let seq = record.seq;
    let canonical = record.canonical().map_err(|_| ChainFault::Unreadable { seq })?;
    verify_text(head, seq, &canonical, stored_previous, stored_hash)
}

/// Verifies one record by its stored canonical form, to the letter, against the head before it.
pub fn verify_text(
    head: &ChainHead,
    seq: u64,
    canonical: &[u8],
    stored_previous: [u8; 32],
    stored_hash: [u8; 32],
) -> Result<ChainHead, ChainFault> {
    if seq != head.seq + 1 {
        return Err(ChainFault::Gap { expected: head.seq + 1, found: seq });
    }
    if stored_previous != head.hash {
        return Err(ChainFault::BrokenLink { seq });
    }
    let hash = link_hash(&head.hash, canonical);
    if hash == stored_hash { Ok(ChainHead { seq, hash }) } else { Err(ChainFault::ContentChanged { seq }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::audit::record::{Outcome, StateChange};
    use crate::ids::{PrincipalId, TenantId};
    use crate::principal::{PrincipalKind, Role, Roles};

    fn record(seq: u64) -> AuditRecord {
        AuditRecord {
            seq,
            tenant_id: TenantId::PLATFORM,
            chain_id: Uuid::nil(),
            case_id: None,
            actor_id: PrincipalId::SYSTEM,
            actor_type: PrincipalKind::System,
            actor_roles: Roles::of(&[Role::System]),
            on_behalf_of: None,
            agent_run_id: None,
            action: "case.create".to_owned(),
            outcome: Outcome::Allowed,
            http_status: Some(201),
            request_id: format!("request-{seq}"),
            trace_id: String::new(),
            idempotency_key_hash: None,
            reason: None,
            states: StateChange { from: None, to: None },
            case_version: Some(seq),
            guard_results: None,
            before: None,
            after: Some(json!({"b": 1, "a": [1.5, "\u{e9}"]})),
            diff: None,
            occurred_at: datetime!(2026-11-21 10:00:00.123456 UTC),
        }
    }

    fn chain(length: u64) -> Vec<(AuditRecord, [u8; 32], [u8; 32])> {
        let mut head = ChainHead::EMPTY;
        (1..=length)
            .map(|seq| {
                let next = head.append(&record(seq)).expect("canonical");
                let link = (record(seq), head.hash, next.hash);
                head = next;
                link
            })
            .collect()
    }

    fn verify(links: &[(AuditRecord, [u8; 32], [u8; 32])]) -> Result<ChainHead, ChainFault> {
        verify_chain(links.iter().map(|(record, previous, hash)| (record, *previous, *hash)))
    }

    #[test]
    fn an_untouched_chain_verifies_to_its_head() {
        let links = chain(5);
        assert_eq!(verify(&links), Ok(ChainHead { seq: 5, hash: links[4].2 }));
        assert_eq!(verify(&[]), Ok(ChainHead::EMPTY));
    }

    #[test]
    fn a_changed_member_a_removed_record_and_a_swapped_link_are_found_where_they_are() {
        let mut changed = chain(5);
        changed[2].0.reason = Some("rewritten".to_owned());
        assert_eq!(verify(&changed), Err(ChainFault::ContentChanged { seq: 3 }));

        let mut removed = chain(5);
        removed.remove(1);
        assert_eq!(verify(&removed), Err(ChainFault::Gap { expected: 2, found: 3 }));

        let mut relinked = chain(5);
        relinked[3].1 = [7; 32];
        assert_eq!(verify(&relinked), Err(ChainFault::BrokenLink { seq: 4 }));
    }

    #[test]
    fn the_canonical_form_does_not_depend_on_member_order() {
        let canonical = String::from_utf8(record(1).canonical().expect("canonical")).expect("utf-8");
        assert!(canonical.starts_with(r#"{"action":"case.create","actor_id":"#), "{canonical}");
        assert!(canonical.contains(r#""after":{"a":[1.5,"é"],"b":1}"#), "{canonical}");
    }
}
