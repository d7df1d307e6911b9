//! The section `plugins`: how Python plugins are run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

use crate::config::sections::optional_path;
use crate::config::setting::{Rule, section};

section! {
    /// Python plugins: parsers of documents among them. They run in worker processes that start with the first call.
    Plugins = "plugins" {
        /// Whether the service is not ready (/readyz) when no worker starts. Otherwise it says so and goes on without plugins.
        required: bool = "false", Rule::Flag;
        /// Virtual environment with the plugins. Empty: the active one (`VIRTUAL_ENV`), or `.venv` here or above the program.
        #[serde(deserialize_with = "optional_path")]
        home: Option<PathBuf> = "\"\"", Rule::OptionalText;
        /// Directories searched before it for plugins, separated by colons.
        path: String = "\"\"", Rule::OptionalText;
        /// Worker processes: calls that run at once.
        workers: usize = "2", Rule::Integer { min: 1, max: 64 };
        /// Memory of a worker, in MiB.
        memory_mb: u64 = "1024", Rule::Integer { min: 128, max: 65_536 };
        /// Time for a call, in milliseconds; after it the worker is killed.
        deadline_ms: u64 = "30000", Rule::Integer { min: 10, max: 3_600_000 };
        /// Time for a worker to start, in milliseconds.
        startup_ms: u64 = "30000", Rule::Integer { min: 100, max: 600_000 };
        /// Calls that may wait for a worker; more are refused.
        queue: usize = "64", Rule::Integer { min: 1, max: 10_000 };
        /// Time that a call may wait to begin, in milliseconds.
        patience_ms: u64 = "60000", Rule::Integer { min: 10, max: 3_600_000 };
        /// Calls after which a worker is replaced by a fresh one.
        recycle_after: u64 = "10000", Rule::Integer { min: 1, max: 1_000_000_000 };
        /// Plugin of the group `docket.rerankers` that searches are reranked by where they ask for it. Empty: late interaction.
        reranker: String = "\"\"", Rule::OptionalText;
        /// Time that a search waits for it, in milliseconds; afterwards the order before stands.
        reranker_ms: u64 = "2000", Rule::Integer { min: 10, max: 60_000 };
        /// Collections whose documents a plugin of the group `docket.chunkers` cuts, as `collection=plugin`, separated by commas.
        #[serde(deserialize_with = "pairs")]
        chunkers: BTreeMap<String, String> = "\"\"", Rule::OptionalText;
        /// Program that has the command `plugin-worker`. Empty: this one.
        #[serde(deserialize_with = "optional_path")]
        program: Option<PathBuf> = "\"\"", Rule::OptionalText;
    }
}

fn pairs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let given = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let parts = pair.split_once('=').map(|(collection, plugin)| (collection.trim(), plugin.trim()));
        let filled = parts.filter(|(collection, plugin)| !collection.is_empty() && !plugin.is_empty());
        let (collection, plugin) =
            filled.ok_or_else(|| de::Error::custom(format!("`{pair}` is not `collection=plugin`")))?;
        Ok((collection.to_owned(), plugin.to_owned()))
    };
    given.map(pair).collect()
}
