//! Bulk import and export, end to end: the program as a user calls it, on a database of its own for each test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::disallowed_methods)]

mod calendar;
mod conflicts;
mod damaged;
mod harness;
mod interrupted;
mod mapping;
mod memory;
mod phmsa;
#[path = "../support/mod.rs"]
mod support;
