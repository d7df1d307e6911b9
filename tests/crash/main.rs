//! The batteries: how we know that nothing is lost and nobody gets in.
//!
//! Each battery runs the real service against a durable PostgreSQL of its own and holds what the clients were told
//! against the database. Short forms by default, longer ones through environment variables (`docs/testing.md`); every
//! report prints the seed that repeats it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::too_many_lines)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod backlog;
mod forged_tokens;
mod forgeries;
mod fuzz_api;
mod http_abuse;
mod isolation;
#[path = "../support/issuer.rs"]
mod issuer;
mod job_worker;
mod jobs;
mod kill_database;
mod kill_service;
mod large_evidence;
mod model_brownout;
#[path = "../support/model_server.rs"]
mod model_server;
mod one_case;
mod plugin_injections;
mod poisoned;
#[path = "../support/receiver.rs"]
mod receiver;
mod relay_order;
mod rolling_restart;
mod same_key;
#[cfg(feature = "faults")]
mod seeded_faults;
mod shared_connections;
#[path = "../support/sown_document.rs"]
mod sown_document;
mod ssrf;
mod stream_stop;
mod support;
mod takeover;
mod tenant_matrix;
mod terminated;
mod upload_killed;
