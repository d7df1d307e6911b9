//! The port for plugins: code of others that runs beside the service, not in it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use docket_domain::named_enum;
use serde::Serialize;
use serde_json::Value;

named_enum! {
    /// A kind of plugin; the name is that of the entry points.
    PluginGroup, "plugin group" {
        /// Reads the text of files.
        Parsers = "docket.parsers",
        /// Cuts texts into passages.
        Chunkers = "docket.chunkers",
        /// Judges how well passages answer a query.
        Rerankers = "docket.rerankers",
        /// Adds to records.
        Enrichers = "docket.enrichers",
        /// Grades answers.
        Graders = "docket.graders",
    }
}

/// One call of a plugin.
#[derive(Debug, Clone)]
pub struct PluginCall {
    /// The kind.
    pub group: PluginGroup,
    /// Which of them.
    pub name: String,
    /// What the protocol of the kind asks for, beside the payload.
    pub arguments: Value,
    /// Bytes: the file, the text.
    pub payload: Bytes,
    /// How long it may take once begun; none means the usual time.
    pub deadline: Option<Duration>,
}

/// What a plugin gave.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginAnswer {
    /// By the protocol of the kind.
    pub result: Value,
    /// Bytes: the text.
    pub payload: Bytes,
}

/// A plugin that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginInfo {
    /// The kind.
    pub group: PluginGroup,
    /// Its name.
    pub name: String,
    /// Module and class.
    pub source: String,
    /// The package that brings it, with its version.
    pub package: Option<String>,
    /// The version of that package.
    pub version: Option<String>,
    /// What a parser reads.
    pub media_types: Vec<String>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// There is no plugin of this name.
    #[error("{0}")]
    Missing(String),
    /// Nobody runs plugins here at the moment.
    #[error("plugins are not available: {0}")]
    Unavailable(String),
    /// Too many calls wait, or this one waited too long to begin.
    #[error("too many plugin calls wait; retry later")]
    Overloaded,
    /// It took longer than it may; its worker was killed.
    #[error("the plugin was stopped after {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// Its worker died of it.
    #[error("the plugin's worker died: {0}")]
    Died(String),
    /// It raised an exception; the traceback is in the log.
    #[error("{message}")]
    Raised {
        /// What sort: `import`, `memory`, `exit` or `exception`.
        kind: String,
        /// The exception's type and message.
        message: String,
    },
    /// It says that there is something wrong with what it was given.
    #[error("{message}")]
    Refused {
        /// A word for programs.
        reason: String,
        /// A sentence for people.
        message: String,
    },
    /// The call or its answer is larger than what is passed on.
    #[error("a plugin call or its answer may have {limit} bytes at most")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Its worker answered what no worker should.
    #[error("the plugin's worker broke the protocol: {0}")]
    Protocol(String),
}

/// Runs plugins.
///
/// Contract: whatever a plugin does, the service's own threads, memory and output are not touched by it; `call` ends soon
/// after its deadline. A call is begun at most once: what was begun and not answered is an error, never tried again here.
/// Calls run in parallel up to the number of workers; more wait in a bounded queue, and beyond that are refused at once.
#[async_trait]
pub trait Plugins: Send + Sync + 'static {
    /// Calls a plugin.
    async fn call(&self, call: PluginCall) -> Result<PluginAnswer, PluginError>;
    /// Every plugin that is found, by group and name.
    async fn list(&self) -> Result<Vec<PluginInfo>, PluginError>;
    /// Lets a plugin try itself.
    async fn self_test(&self, group: PluginGroup, name: &str) -> Result<(), PluginError>;
}
