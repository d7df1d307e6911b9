//! The audit trail: who may read it, how it is verified, and the checkpoints that are signed over it.

pub mod checkpoints;
pub mod read_trail;
pub mod verify_chains;
pub mod verify_checkpoints;
pub mod verify_part;
pub mod verify_trail;
