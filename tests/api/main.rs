//! The API as clients see it: every test starts the production service on a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::too_many_lines)]

#[path = "../support/mod.rs"]
mod database_support;
mod support;

mod bad_input;
mod case_lists;
mod concurrency;
mod documents;
mod idempotency;
mod isolation;
mod lifecycle;
mod preconditions;
mod rate_limits;
mod tenancy;
mod visibility;
