//! The relay against a real database: order, parallel cases, poison, outages, leases, and endpoints of every bad kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod database_support;
mod lanes;
mod leases;
mod looking;
mod nats;
#[path = "../support/nats_server.rs"]
mod nats_server;
mod outage;
#[path = "../support/receiver.rs"]
mod receiver;
mod sinks;
mod stopping;
mod together;
mod world;
