//! The queue: what the adapter promises, what a worker makes of it, and that both hold with many workers at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod case_effects;
mod faulty_store;
mod maintenance;
mod model;
mod queue_contract;
mod runner;
mod schedules;
