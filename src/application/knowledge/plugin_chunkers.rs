//! Cutting by plugins: collections whose documents a plugin of the group `docket.chunkers` cuts.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use docket_domain::document::chunking::given::{InvalidSpans, passages_of_spans};
use docket_domain::document::{Chunking, Passage};
use serde::Deserialize;
use serde_json::json;

use crate::application::ports::plugins::{PluginCall, PluginError, PluginGroup, Plugins};

/// Why a plugin cut nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChunkerError {
    /// The call gave nothing.
    #[error("the chunker {0}: {1}")]
    Plugin(String, #[source] PluginError),
    /// Its answer has not the form that the protocol wants.
    #[error("the chunker {0} answered in another form than [start, end] pairs: {1}")]
    Shape(String, #[source] serde_json::Error),
    /// Its spans are no passages of the text.
    #[error("the chunker {0}: {1}")]
    Spans(String, #[source] InvalidSpans),
}

impl ChunkerError {
    /// Whether nobody was there to cut; another attempt may find somebody.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Plugin(_, PluginError::Unavailable(_) | PluginError::Overloaded))
    }

    /// Whether the plugin was stopped or died, which may have been chance.
    pub const fn is_death(&self) -> bool {
        matches!(self, Self::Plugin(_, PluginError::TimedOut(_) | PluginError::Died(_) | PluginError::Protocol(_)))
    }
}

/// The plugins by the name of the collection whose documents they cut.
#[derive(Clone)]
pub struct PluginChunkers {
    /// Runs them.
    pub plugins: Arc<dyn Plugins>,
    /// Collection to plugin.
    pub by_collection: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    spans: Vec<(u32, u32)>,
}

impl PluginChunkers {
    /// The plugin that cuts the documents of this collection, if any does.
    pub fn of(&self, collection: &str) -> Option<&str> {
        self.by_collection.get(collection).map(String::as_str)
    }

    /// Cuts a text by this plugin, which gets the collection's size and overlap. Every passage is a span of the text, and
    /// nothing but white space is left out.
    pub async fn cut(&self, name: &str, text: &str, chunking: Chunking) -> Result<Vec<Passage>, ChunkerError> {
        let call = PluginCall {
            group: PluginGroup::Chunkers,
            name: name.to_owned(),
            arguments: json!({"size": chunking.size, "overlap": chunking.overlap}),
            payload: Bytes::copy_from_slice(text.as_bytes()),
            deadline: None,
        };
        let named = || name.to_owned();
        let answer = self.plugins.call(call).await.map_err(|error| ChunkerError::Plugin(named(), error))?;
        let answer: Answer =
            serde_json::from_value(answer.result).map_err(|error| ChunkerError::Shape(named(), error))?;
        passages_of_spans(text, &answer.spans).map_err(|error| ChunkerError::Spans(named(), error))
    }
}
