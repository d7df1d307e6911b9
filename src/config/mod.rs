//! Every setting: one struct per section, documented defaults, ranges checked at start.
//!
//! The words above each field in `sections/` are the only documentation: `docket config --default`,
//! `docs/configuration.md`, the checks and the defaults all derive from the same table.

mod contradictions;
mod invalid;
mod load;
mod network;
mod render;
mod sections;
mod setting;

pub use invalid::{ConfigErrors, Invalid};
pub use load::{DEFAULT_FILE, Effective, Flag, Loaded, Sources, load};
pub use network::Network;
pub use render::{default_toml, effective_text, markdown};
pub use sections::{
    Answers, Anthropic, Audit, Compatible, Config, Database, Demo, Enrichment, Events, Idempotency, Limits, LogFormat,
    Models, Nats, Oidc, OpenAi, Precision, ProcessRole, Relay, SECTIONS, Security, Server, Storage, Telemetry,
    Webhooks, Worker, settings,
};
pub use setting::{Rule, Setting};
