//! What the batteries share: stage, service, client, load, ledger and oracle.

pub mod client;
pub mod commands;
pub mod invariants;
pub mod ledger;
pub mod load;
pub mod outbox;
pub mod questions;
pub mod random;
pub mod report;
pub mod service;
pub mod settings;
pub mod stage;
pub mod surroundings;
