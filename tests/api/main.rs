//! The API as clients see it: every test starts the production service on a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::too_many_lines)]

#[path = "../support/contract.rs"]
mod contract;
#[path = "../support/mod.rs"]
mod database_support;
#[path = "../application/fakes/clock.rs"]
mod frozen_clock;
#[path = "../support/issuer.rs"]
mod issuer;
#[path = "../support/model_server.rs"]
mod model_server;
#[path = "../support/receiver.rs"]
mod receiver;
#[path = "../support/s3_server.rs"]
mod s3_server;
#[path = "../support/sown_document.rs"]
mod sown_document;
mod support;

mod answers;
mod audit_trail;
mod bad_input;
mod budgets;
mod case_lists;
mod case_search;
mod concurrency;
mod deadlines;
mod documents;
mod embedding_later;
mod enrichment;
mod event_feed;
mod event_stream;
mod evidence;
mod evidence_in_s3;
mod fetched_documents;
mod generated_client;
mod idempotency;
mod isolation;
mod jobs;
mod library;
mod lifecycle;
mod nats;
mod notes_and_links;
mod oidc;
mod on_behalf;
mod preconditions;
mod prompts;
mod rate_limits;
mod replicas;
mod roles;
mod tenancy;
mod visibility;
mod webhook_endpoints;
mod webhook_faults;
mod webhooks;
