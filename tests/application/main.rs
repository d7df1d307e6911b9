//! The use cases on fakes: fast tests of what the service promises before HTTP and SQL come into it.
//!
//! `semantics` of idempotency and preconditions stand here row by row. The fakes are held to the ports' contracts by
//! [`case_store_contract`], which runs the same functions against PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

mod abandoned_transactions;
mod admission;
mod answers;
mod authentication;
mod case_store_contract;
mod contention;
mod deadlines;
mod denials;
mod desk;
mod dry_run;
mod fakes;
mod guarded_register;
mod idempotency;
mod judging;
mod looks;
mod order_of_checks;
mod preconditions;
mod simultaneous_acts;
mod simultaneous_loads;
#[path = "../support/word_judge.rs"]
mod word_judge;
mod write_headers;
