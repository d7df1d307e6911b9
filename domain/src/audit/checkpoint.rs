//! Checkpoints: what is signed so that recomputing a chain or cutting its tail becomes evident.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::chain::ChainHead;
use crate::ids::TenantId;

/// The statement that is signed: how many chains and records there are, and a digest over all heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointStatement {
    /// The tenant whose chains are covered.
    pub tenant_id: TenantId,
    /// Number within the tenant, from 1.
    pub number: u64,
    /// How many heads this checkpoint lists.
    pub heads: u64,
    /// SHA-256 over the listed heads in ascending order of chain id.
    pub heads_digest: [u8; 32],
    /// The digest of the checkpoint before, 32 zero bytes for the first.
    pub previous: [u8; 32],
    /// When it was made, UTC, to the microsecond.
    pub created_at: OffsetDateTime,
}

impl CheckpointStatement {
    /// The bytes to sign (Ed25519), and whose SHA-256 the next checkpoint names as `previous`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"docket:checkpoint:v1".to_vec();
        bytes.extend_from_slice(self.tenant_id.0.as_bytes());
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.heads.to_be_bytes());
        bytes.extend_from_slice(&self.heads_digest);
        bytes.extend_from_slice(&self.previous);
        bytes.extend_from_slice(&(self.created_at.unix_timestamp_nanos() / 1_000).to_be_bytes());
        bytes
    }

    /// SHA-256 of [`Self::to_bytes`].
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }
}

/// Digests heads one by one, in ascending order of chain id.
#[derive(Debug, Clone, Default)]
pub struct HeadsDigest {
    hasher: Sha256,
    count: u64,
}

impl HeadsDigest {
    /// Adds the next head.
    pub fn add(&mut self, chain_id: Uuid, head: ChainHead) {
        self.hasher.update(chain_id.as_bytes());
        self.hasher.update(head.seq.to_be_bytes());
        self.hasher.update(head.hash);
        self.count += 1;
    }

    /// The digest and the number of heads.
    pub fn finish(self) -> ([u8; 32], u64) {
        (self.hasher.finalize().into(), self.count)
    }
}

/// Digests heads in ascending order of chain id; gives the digest and the number of heads.
pub fn digest_heads(heads: impl IntoIterator<Item = (Uuid, ChainHead)>) -> ([u8; 32], u64) {
    let mut digest = HeadsDigest::default();
    for (chain_id, head) in heads {
        digest.add(chain_id, head);
    }
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_statement_and_every_head_counts() {
        let statement = CheckpointStatement {
            tenant_id: TenantId(Uuid::from_u128(1)),
            number: 1,
            heads: 1,
            heads_digest: [1; 32],
            previous: [0; 32],
            created_at: OffsetDateTime::UNIX_EPOCH,
        };
        let others = [
            CheckpointStatement { tenant_id: TenantId::PLATFORM, ..statement },
            CheckpointStatement { number: 2, ..statement },
            CheckpointStatement { heads: 2, ..statement },
            CheckpointStatement { heads_digest: [2; 32], ..statement },
            CheckpointStatement { previous: [2; 32], ..statement },
            CheckpointStatement { created_at: OffsetDateTime::UNIX_EPOCH + time::Duration::MICROSECOND, ..statement },
        ];
        assert!(others.iter().all(|other| other.digest() != statement.digest()));

        let head = |seq| ChainHead { seq, hash: [9; 32] };
        let digest = |chain, seq| digest_heads([(Uuid::from_u128(chain), head(seq))]);
        assert_eq!(digest(0, 3).1, 1);
        assert_ne!(digest(0, 3).0, digest(0, 2).0);
        assert_ne!(digest(0, 3).0, digest(1, 3).0);
    }
}
