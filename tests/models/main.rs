//! Language models on the wire and in a chain: the quirks of real servers played by a stand-in, and the rules of falling back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../support/model_server.rs"]
mod model_server;

mod anthropic;
mod chain;
mod metrics;
mod network;
mod openai;
mod transport;
mod world;
