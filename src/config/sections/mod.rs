//! The sections of the configuration, one struct each; the words above each field are its documentation everywhere.

mod answers;
mod database;
mod delivery;
mod embedding;
mod enrichment;
mod limits;
mod models;
mod plugins;
mod security;
mod server;
mod stores;
mod telemetry;
mod worker;

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

pub use answers::Answers;
pub use database::Database;
pub use delivery::{Events, Nats, Relay, Webhooks};
pub use embedding::{Embedding, Precision};
pub use enrichment::Enrichment;
pub use limits::{Idempotency, Limits};
pub use models::{Anthropic, Compatible, Models, OpenAi};
pub use plugins::Plugins;
pub use security::{Oidc, Security};
pub use server::{ProcessRole, Server};
pub use stores::{Audit, Demo, Storage};
pub use telemetry::{LogFormat, Telemetry};
pub use worker::Worker;

use super::setting::{Rule, Setting, section};

section! {
    /// Where the service keeps its own files.
    Config = "" {
        /// Directory for everything the service writes by itself: embedded database, evidence, generated keys.
        data_dir: PathBuf = "\".docket\"", Rule::Text;
        + /// The HTTP server.
        server: Server;
        + /// Background work.
        worker: Worker;
        + /// The database.
        database: Database;
        + /// Authentication.
        security: Security;
        + /// Rates and sizes.
        limits: Limits;
        + /// Idempotency keys.
        idempotency: Idempotency;
        + /// Evidence bytes.
        storage: Storage;
        + /// The audit trail.
        audit: Audit;
        + /// Language models.
        models: Models;
        + /// Python plugins.
        plugins: Plugins;
        + /// Handing events on.
        relay: Relay;
        + /// Webhooks.
        webhooks: Webhooks;
        + /// The broker.
        nats: Nats;
        + /// Streams of events.
        events: Events;
        + /// The embedding model.
        embedding: Embedding;
        + /// Answers from documents.
        answers: Answers;
        + /// The company register.
        enrichment: Enrichment;
        + /// Logs, traces and metrics.
        telemetry: Telemetry;
        + /// Demo data.
        demo: Demo;
    }
}

impl Config {
    /// The base URL in links and problem types, without a trailing slash.
    pub fn public_url(&self) -> String {
        if self.server.public_url.is_empty() {
            format!("http://{}", self.server.bind)
        } else {
            self.server.public_url.trim_end_matches('/').to_owned()
        }
    }
}

/// Every section in the order of the documentation: path, what it is about, rows.
pub const SECTIONS: &[(&str, &str, &[Setting])] = &[
    ("", Config::ABOUT, Config::SETTINGS),
    ("server", Server::ABOUT, Server::SETTINGS),
    ("worker", Worker::ABOUT, Worker::SETTINGS),
    ("database", Database::ABOUT, Database::SETTINGS),
    ("security", Security::ABOUT, Security::SETTINGS),
    ("security.oidc", Oidc::ABOUT, Oidc::SETTINGS),
    ("limits", Limits::ABOUT, Limits::SETTINGS),
    ("idempotency", Idempotency::ABOUT, Idempotency::SETTINGS),
    ("storage", Storage::ABOUT, Storage::SETTINGS),
    ("audit", Audit::ABOUT, Audit::SETTINGS),
    ("models", Models::ABOUT, Models::SETTINGS),
    ("models.openai", OpenAi::ABOUT, OpenAi::SETTINGS),
    ("models.anthropic", Anthropic::ABOUT, Anthropic::SETTINGS),
    ("models.compatible", Compatible::ABOUT, Compatible::SETTINGS),
    ("plugins", Plugins::ABOUT, Plugins::SETTINGS),
    ("relay", Relay::ABOUT, Relay::SETTINGS),
    ("webhooks", Webhooks::ABOUT, Webhooks::SETTINGS),
    ("nats", Nats::ABOUT, Nats::SETTINGS),
    ("events", Events::ABOUT, Events::SETTINGS),
    ("embedding", Embedding::ABOUT, Embedding::SETTINGS),
    ("answers", Answers::ABOUT, Answers::SETTINGS),
    ("enrichment", Enrichment::ABOUT, Enrichment::SETTINGS),
    ("telemetry", Telemetry::ABOUT, Telemetry::SETTINGS),
    ("demo", Demo::ABOUT, Demo::SETTINGS),
];

/// Every row of the table.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|(_, _, rows)| rows.iter())
}

fn optional_secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Some(SecretString::deserialize(deserializer)?).filter(|secret| !secret.expose_secret().is_empty()))
}

fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(String::deserialize(deserializer)?).filter(|text| !text.is_empty()))
}

fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    Ok(optional_text(deserializer)?.map(PathBuf::from))
}
