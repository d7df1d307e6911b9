//! Reading files by parser plugins.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::document::{Extracted, Failure, FailureCode};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::application::ports::document_parser::{DocumentParser, FileToParse, ParseError};
use crate::application::ports::plugins::{PluginCall, PluginError, PluginGroup, Plugins};

/// What docket's own parsers read, for when the list of plugins cannot be had.
const OWN: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("text/html", "html"),
    ("text/markdown", "markdown"),
    ("text/plain", "text"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
];

/// [`DocumentParser`] by plugins of the group `docket.parsers`.
pub struct PluginParser {
    plugins: Arc<dyn Plugins>,
    deadline: Duration,
    by_type: OnceCell<BTreeMap<String, String>>,
}

impl PluginParser {
    /// Parsers get `deadline` for a file.
    pub fn new(plugins: Arc<dyn Plugins>, deadline: Duration) -> Self {
        Self { plugins, deadline, by_type: OnceCell::new() }
    }

    /// Parser by media type. A plugin of another package goes before docket's own.
    async fn parsers(&self) -> Result<&BTreeMap<String, String>, ParseError> {
        let ask = async || match self.plugins.list().await {
            Ok(mut found) => {
                found.sort_by_key(|plugin| plugin.package.as_deref() != Some("docket-plugins"));
                let parsers = found.into_iter().filter(|plugin| plugin.group == PluginGroup::Parsers);
                let types = |name: String, types: Vec<String>| types.into_iter().map(move |one| (one, name.clone()));
                Ok(parsers.flat_map(|plugin| types(plugin.name, plugin.media_types)).collect())
            }
            Err(PluginError::Died(_) | PluginError::TimedOut(_)) => {
                Ok(OWN.iter().map(|(media_type, name)| ((*media_type).to_owned(), (*name).to_owned())).collect())
            }
            Err(error) => Err(ParseError::Unavailable(error.to_string())),
        };
        self.by_type.get_or_try_init(ask).await
    }
}

#[async_trait]
impl DocumentParser for PluginParser {
    async fn parse(&self, file: FileToParse) -> Result<Extracted, ParseError> {
        let Some(name) = self.parsers().await?.get(&file.media_type).cloned() else {
            let reason = format!("no parser reads {}", file.media_type);
            return Err(ParseError::Refused(Failure { code: FailureCode::Unsupported, reason }));
        };
        let call = PluginCall {
            group: PluginGroup::Parsers,
            name,
            arguments: json!({"name": file.name, "media_type": file.media_type}),
            payload: file.bytes,
            deadline: Some(self.deadline),
        };
        let answer = self.plugins.call(call).await.map_err(failed)?;
        let unsound = |problem: String| ParseError::Died(problem);
        let text = String::from_utf8(answer.payload.into()).map_err(|_| unsound("the text is not UTF-8".to_owned()))?;
        let mut members = answer.result;
        members["text"] = json!("");
        let read: Extracted = serde_json::from_value(members).map_err(|error| unsound(error.to_string()))?;
        let extracted = Extracted { text, ..read };
        extracted.check().map_err(|error| unsound(error.to_string()))?;
        if extracted.text.trim().is_empty() {
            let reason = "there is no text in it".to_owned();
            return Err(ParseError::Refused(Failure { code: FailureCode::Empty, reason }));
        }
        Ok(extracted)
    }

    async fn media_types(&self) -> Vec<String> {
        self.parsers().await.map(|parsers| parsers.keys().cloned().collect()).unwrap_or_default()
    }
}

fn failed(error: PluginError) -> ParseError {
    match error {
        PluginError::Refused { reason, message } => {
            let code = reason.parse().unwrap_or(FailureCode::Broken);
            ParseError::Refused(Failure { code, reason: message })
        }
        PluginError::Unavailable(_) | PluginError::Overloaded | PluginError::Missing(_) => {
            ParseError::Unavailable(error.to_string())
        }
        PluginError::TooLarge { .. } => {
            ParseError::Refused(Failure { code: FailureCode::TooLarge, reason: error.to_string() })
        }
        PluginError::TimedOut(_) | PluginError::Died(_) | PluginError::Raised { .. } | PluginError::Protocol(_) => {
            ParseError::Died(error.to_string())
        }
    }
}
