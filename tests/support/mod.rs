//! What integration tests share; include it with `mod support;` (or `#[path]` from a folder).
//!
//! Every test binary compiles its own copy and uses a part of it, hence the allowance for dead code.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::disallowed_methods)]

pub mod database;
