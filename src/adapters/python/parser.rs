//! Reading files by parser plugins.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::document::{Extracted, Failure, FailureCode};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::application::ports::document_parser::{DocumentParser, FileToParse, ParseError};
use crate::application::ports::plugins::{PluginCall, PluginError, PluginGroup, PluginInfo, Plugins};

/// What docket's own parsers read, for when the list of plugins cannot be had.
const OWN: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("text/html", "html"),
    ("text/markdown", "markdown"),
    ("text/plain", "text"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
];

/// How long docket's own parsers alone are used when the list of plugins could not be had.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// Parser by media type.
type ByType = BTreeMap<String, String>;

/// [`DocumentParser`] by plugins of the group `docket.parsers`.
pub struct PluginParser {
    plugins: Arc<dyn Plugins>,
    deadline: Duration,
    found: OnceCell<Arc<ByType>>,
    /// When the list could not be had the last time: a failure is not what there is, so it is not kept for long.
    failed_at: Mutex<Option<Instant>>,
}

impl PluginParser {
    /// Parsers get `deadline` for a file.
    pub fn new(plugins: Arc<dyn Plugins>, deadline: Duration) -> Self {
        Self { plugins, deadline, found: OnceCell::new(), failed_at: Mutex::new(None) }
    }

    /// Every parser; none when the list cannot be had because listing plugins kills the worker, or hangs.
    async fn listed(&self) -> Result<Option<Arc<ByType>>, ParseError> {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        if failed_at.is_some_and(|at| at.elapsed() < ASK_AGAIN) {
            return Ok(None);
        }
        let ask = async || self.plugins.list().await.map(|found| Arc::new(by_type(found)));
        match self.found.get_or_try_init(ask).await {
            Ok(found) => Ok(Some(found.clone())),
            Err(PluginError::Died(_) | PluginError::TimedOut(_)) => {
                *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Ok(None)
            }
            Err(error) => Err(ParseError::Unavailable(error.to_string())),
        }
    }

    /// Who reads this media type.
    async fn parser(&self, media_type: &str) -> Result<String, ParseError> {
        let Some(found) = self.listed().await? else {
            let own = OWN.iter().find(|(one, _)| *one == media_type).map(|(_, name)| (*name).to_owned());
            let unknown = || ParseError::Unavailable(format!("which plugins read {media_type} cannot be had"));
            return own.ok_or_else(unknown);
        };
        found.get(media_type).cloned().ok_or_else(|| {
            let reason = format!("no parser reads {media_type}");
            ParseError::Refused(Failure { code: FailureCode::Unsupported, reason })
        })
    }
}

/// A plugin of another package goes before docket's own.
fn by_type(mut found: Vec<PluginInfo>) -> ByType {
    found.sort_by_key(|plugin| plugin.package.as_deref() != Some("docket-plugins"));
    let parsers = found.into_iter().filter(|plugin| plugin.group == PluginGroup::Parsers);
    let types = |name: String, types: Vec<String>| types.into_iter().map(move |one| (one, name.clone()));
    parsers.flat_map(|plugin| types(plugin.name, plugin.media_types)).collect()
}

#[async_trait]
impl DocumentParser for PluginParser {
    async fn parse(&self, file: FileToParse) -> Result<Extracted, ParseError> {
        let name = self.parser(&file.media_type).await?;
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
        let extracted = Extracted { text, ..read }.shortened();
        extracted.check().map_err(|error| unsound(error.to_string()))?;
        if extracted.text.trim().is_empty() {
            let reason = "there is no text in it".to_owned();
            return Err(ParseError::Refused(Failure { code: FailureCode::Empty, reason }));
        }
        Ok(extracted)
    }

    async fn media_types(&self) -> Vec<String> {
        match self.listed().await {
            Ok(Some(found)) => found.keys().cloned().collect(),
            Ok(None) => OWN.iter().map(|(media_type, _)| (*media_type).to_owned()).collect(),
            Err(_) => Vec::new(),
        }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use bytes::Bytes;

    use super::*;
    use crate::application::ports::plugins::PluginAnswer;

    /// Plugins whose first list kills the worker; every call answers with the plugin's name.
    #[derive(Default)]
    struct Restarting(AtomicU32);

    #[async_trait]
    impl Plugins for Restarting {
        async fn call(&self, call: PluginCall) -> Result<PluginAnswer, PluginError> {
            Ok(PluginAnswer { result: json!({}), payload: call.name.into_bytes().into() })
        }

        async fn list(&self) -> Result<Vec<PluginInfo>, PluginError> {
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err(PluginError::Died("it was killed".to_owned()));
            }
            let plugin = |name: &str, package: &str, media_type: &str| PluginInfo {
                group: PluginGroup::Parsers,
                name: name.to_owned(),
                source: String::new(),
                package: Some(package.to_owned()),
                version: None,
                media_types: vec![media_type.to_owned()],
                problem: None,
            };
            Ok(vec![plugin("text", "docket-plugins", "text/plain"), plugin("mail", "acme-mail", "message/rfc822")])
        }

        async fn self_test(&self, _: PluginGroup, _: &str) -> Result<(), PluginError> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_failed_once_is_asked_for_again() {
        let parser = PluginParser::new(Arc::new(Restarting::default()), Duration::from_secs(1));
        let read = async |media_type: &str| {
            let (name, media_type) = ("a".to_owned(), media_type.to_owned());
            let read = parser.parse(FileToParse { name, media_type, bytes: Bytes::from_static(b"x") }).await;
            read.map(|extracted| extracted.text)
        };
        assert_eq!(read("text/plain").await.unwrap(), "text", "docket's own are there without a list");
        let later = read("message/rfc822").await;
        assert!(matches!(later, Err(ParseError::Unavailable(_))), "whether anybody reads it is not known: {later:?}");
        tokio::time::sleep(ASK_AGAIN).await;
        assert_eq!(read("message/rfc822").await.unwrap(), "mail");
        assert!(matches!(read("video/mp4").await, Err(ParseError::Refused(_))));
    }
}
