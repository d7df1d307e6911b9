//! The audit trail: one record per act, chained by hash so that tampering is evident (not impossible).
//!
//! `hash = SHA-256(domain tag || previous hash || canonical JSON of the record)`, one chain per case. Recomputing a whole
//! chain and cutting its tail are the two holes of a bare chain; signed [`checkpoint`]s over the heads close them.

pub mod chain;
pub mod checkpoint;
pub mod record;

pub use chain::{ChainFault, ChainHead, verify_chain};
pub use record::{AuditAction, AuditRecord, Outcome, StateChange};
