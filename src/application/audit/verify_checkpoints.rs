//! Verify checkpoints: signature, link to the one before, digest, and that every listed head still stands.

use docket_domain::audit::ChainHead;
use docket_domain::audit::checkpoint::HeadsDigest;
use docket_domain::ids::TenantId;
use uuid::Uuid;

use crate::application::error::UseCaseError;
use crate::application::ports::Signer;
use crate::application::ports::audit_store::{AuditStore, StoredCheckpoint};

/// Checkpoints read at once.
const CHECKPOINTS_AT_ONCE: u32 = 100;
/// Listed heads read at once.
const HEADS_AT_ONCE: u32 = 2_000;

/// Something wrong with a checkpoint, or with what it lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointFault {
    /// The numbers do not follow each other.
    #[error("checkpoint {expected} is missing: found {found} in its place")]
    Missing {
        /// The number that should stand here.
        expected: u64,
        /// The one that does.
        found: u64,
    },
    /// The checkpoint that a witness remembers is gone or another one.
    #[error("checkpoint {number} is not there as the witness remembers it")]
    WitnessContradicted {
        /// Which.
        number: u64,
    },
    /// It does not name the checkpoint before it.
    #[error("checkpoint {number} does not follow from the one before it")]
    BrokenLink {
        /// Which.
        number: u64,
    },
    /// It was signed by another key than this service's.
    #[error("checkpoint {number} was signed by another key")]
    ForeignKey {
        /// Which.
        number: u64,
    },
    /// The signature does not fit the statement.
    #[error("the signature of checkpoint {number} is not valid")]
    BadSignature {
        /// Which.
        number: u64,
    },
    /// The heads that it lists are not those that were signed.
    #[error("the heads listed by checkpoint {number} are not those that were signed")]
    HeadsChanged {
        /// Which.
        number: u64,
    },
    /// A record that it vouches for is gone: the chain was cut.
    #[error("record {seq}, which checkpoint {number} vouches for, is gone")]
    RecordGone {
        /// Which checkpoint.
        number: u64,
        /// Which record of the chain.
        seq: u64,
    },
    /// A retired key signed the last one: whoever has that key could have sealed anything.
    #[error(
        "checkpoint {number} was signed by a retired key, and none by the key in use follows: seal the trail again"
    )]
    NotRenewed {
        /// Which checkpoint.
        number: u64,
    },
    /// A record that it vouches for is another one: the chain was recomputed.
    #[error("record {seq} is not the one that checkpoint {number} vouches for: the trail was rewritten")]
    RecordReplaced {
        /// Which checkpoint.
        number: u64,
        /// Which record of the chain.
        seq: u64,
    },
}

/// A checkpoint that somebody wrote down elsewhere: the only proof against cutting off the newest ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its number.
    pub number: u64,
    /// The digest of its statement.
    pub digest: [u8; 32],
}

impl std::str::FromStr for Witness {
    type Err = String;

    /// Reads `NUMBER:DIGEST`, the digest as 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (number, digest) = text.split_once(':')?;
            let digest = hex::decode(digest).ok()?.try_into().ok()?;
            Some(Self { number: number.parse().ok()?, digest })
        };
        read().ok_or_else(|| "must be a checkpoint's number and digest, for instance 12:9f86d0...".to_owned())
    }
}

/// What verifying the checkpoints of a tenant found.
#[derive(Debug, Clone, Default)]
pub struct CheckpointReport {
    /// How many there are.
    pub checkpoints: u64,
    /// The faults with the chain they concern, at most `max_faults` of them.
    pub faults: Vec<(Option<Uuid>, CheckpointFault)>,
    /// Where to go on, when `max_heads` was reached before the end.
    pub next: Option<CheckpointPlace>,
}

/// Where a verification of checkpoints goes on: after this one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckpointPlace {
    /// Its number; 0 before the first.
    pub number: u64,
    /// The digest of its statement, which the next one must name.
    pub digest: [u8; 32],
    /// Whether the witness was met so far.
    pub witnessed: bool,
    /// Whether a checkpoint by the key in use was met so far: after it no retired key counts.
    pub renewed: bool,
}

/// How much is looked at in one go.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointBounds {
    /// Faults reported at most.
    pub max_faults: usize,
    /// No further checkpoint is begun when this many listed heads were read.
    pub max_heads: u64,
}

/// Verifies the checkpoints of a tenant from a place on and, at their end, that the witness still stands if one is given.
pub async fn verify_checkpoints(
    store: &dyn AuditStore,
    signer: &dyn Signer,
    tenant: TenantId,
    witness: Option<Witness>,
    from: CheckpointPlace,
    bounds: CheckpointBounds,
) -> Result<CheckpointReport, UseCaseError> {
    let max_faults = bounds.max_faults;
    let mut report = CheckpointReport::default();
    let CheckpointPlace { mut number, digest: mut previous, mut witnessed, mut renewed } = from;
    let mut heads = 0;
    loop {
        let page = store.checkpoints(tenant, number, CHECKPOINTS_AT_ONCE).await?;
        let full = page.len() == CHECKPOINTS_AT_ONCE as usize;
        for checkpoint in page {
            if heads >= bounds.max_heads {
                report.next = Some(CheckpointPlace { number, digest: previous, witnessed, renewed });
                return Ok(report);
            }
            let statement = checkpoint.statement;
            report.checkpoints += 1;
            report.faults.extend(
                statement_faults(signer, &checkpoint, number + 1, previous, renewed).map(|fault| (None, fault)),
            );
            renewed |= checkpoint.signed.public_key == signer.public_key();
            report.faults.extend(listed_faults(store, tenant, &checkpoint, max_faults).await?);
            report.faults.truncate(max_faults);
            heads += statement.heads;
            (number, previous) = (statement.number, statement.digest());
            witnessed |= witness == Some(Witness { number, digest: previous });
        }
        if !full {
            break;
        }
    }
    if number > 0 && !renewed && report.faults.is_empty() {
        report.faults.push((None, CheckpointFault::NotRenewed { number }));
    }
    if let Some(witness) = witness.filter(|_| !witnessed) {
        report.faults.push((None, CheckpointFault::WitnessContradicted { number: witness.number }));
    }
    Ok(report)
}

fn statement_faults(
    signer: &dyn Signer,
    checkpoint: &StoredCheckpoint,
    expected: u64,
    previous: [u8; 32],
    renewed: bool,
) -> impl Iterator<Item = CheckpointFault> {
    let StoredCheckpoint { statement, signed: signature } = checkpoint;
    let number = statement.number;
    let ours = signature.public_key == signer.public_key() || (!renewed && signer.retired(&signature.public_key));
    let doubt = if !ours {
        Some(CheckpointFault::ForeignKey { number })
    } else if signer.verify(&statement.to_bytes(), signature) {
        None
    } else {
        Some(CheckpointFault::BadSignature { number })
    };
    let place = if number != expected {
        Some(CheckpointFault::Missing { expected, found: number })
    } else if statement.previous != previous {
        Some(CheckpointFault::BrokenLink { number })
    } else {
        None
    };
    place.into_iter().chain(doubt)
}

async fn listed_faults(
    store: &dyn AuditStore,
    tenant: TenantId,
    checkpoint: &StoredCheckpoint,
    max_faults: usize,
) -> Result<Vec<(Option<Uuid>, CheckpointFault)>, UseCaseError> {
    let number = checkpoint.statement.number;
    let mut digest = HeadsDigest::default();
    let mut faults = Vec::new();
    let mut after = None;
    loop {
        let page = store.listed_heads(tenant, number, after, HEADS_AT_ONCE).await?;
        for listed in &page {
            let ChainHead { seq, hash } = listed.head;
            digest.add(listed.chain_id, listed.head);
            let fault = match listed.present {
                Some(present) if present == hash => None,
                Some(_) => Some(CheckpointFault::RecordReplaced { number, seq }),
                None => Some(CheckpointFault::RecordGone { number, seq }),
            };
            faults.extend(fault.filter(|_| faults.len() < max_faults).map(|fault| (Some(listed.chain_id), fault)));
        }
        after = page.last().map(|listed| listed.chain_id);
        if page.len() < HEADS_AT_ONCE as usize {
            break;
        }
    }
    if digest.finish() != (checkpoint.statement.heads_digest, checkpoint.statement.heads) {
        faults.insert(0, (None, CheckpointFault::HeadsChanged { number }));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use docket_domain::audit::checkpoint::CheckpointStatement;
    use time::OffsetDateTime;

    use super::*;
    use crate::application::ports::signer::Signed;

    /// Key 2 is in use, key 1 is retired; a signature is always right.
    struct Keys;

    impl Signer for Keys {
        fn public_key(&self) -> [u8; 32] {
            [2; 32]
        }

        fn sign(&self, _: &[u8]) -> Signed {
            Signed { public_key: [2; 32], signature: [0; 64] }
        }

        fn retired(&self, public_key: &[u8; 32]) -> bool {
            *public_key == [1; 32]
        }

        fn verify(&self, _: &[u8], _: &Signed) -> bool {
            true
        }
    }

    #[test]
    fn a_retired_key_counts_until_the_key_in_use_has_signed_and_a_strange_one_never() {
        let faults = |key: u8, renewed| -> Vec<_> {
            let statement = CheckpointStatement {
                tenant_id: TenantId::PLATFORM,
                number: 1,
                previous: [0; 32],
                heads: 0,
                heads_digest: [0; 32],
                created_at: OffsetDateTime::UNIX_EPOCH,
            };
            let checkpoint =
                StoredCheckpoint { statement, signed: Signed { public_key: [key; 32], signature: [0; 64] } };
            statement_faults(&Keys, &checkpoint, 1, [0; 32], renewed).collect()
        };
        let foreign = [CheckpointFault::ForeignKey { number: 1 }];
        assert!(faults(1, false).is_empty() && faults(2, false).is_empty() && faults(2, true).is_empty());
        assert_eq!(faults(1, true), foreign, "whoever has the retired key adds nothing at the end");
        assert_eq!((&faults(3, false)[..], &faults(3, true)[..]), (&foreign[..], &foreign[..]));
    }
}
