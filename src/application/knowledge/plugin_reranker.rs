//! Reranking by a plugin of the group `docket.rerankers`, such as a cross-encoder, in place of late interaction.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::application::ports::plugins::{PluginCall, PluginError, PluginGroup, Plugins};

/// Why a plugin gave no order.
#[derive(Debug, thiserror::Error)]
pub enum RerankerError {
    /// The call gave nothing.
    #[error("the reranker {0}: {1}")]
    Plugin(String, #[source] PluginError),
    /// Its answer is not a finite number for each passage.
    #[error("the reranker {0} gave no finite number for each of {1} passages")]
    Shape(String, usize),
}

/// A plugin that judges how well passages answer a question.
#[derive(Clone)]
pub struct PluginReranker {
    /// Runs it.
    pub plugins: Arc<dyn Plugins>,
    /// Its name.
    pub name: String,
    /// How long it may take; a search waits for it.
    pub deadline: Duration,
}

#[derive(Deserialize)]
struct Answer {
    scores: Vec<f64>,
}

impl PluginReranker {
    /// A number for each passage, in their order, larger for better.
    pub async fn score(&self, query: &str, passages: &[String]) -> Result<Vec<f64>, RerankerError> {
        let call = PluginCall {
            group: PluginGroup::Rerankers,
            name: self.name.clone(),
            arguments: json!({"query": query, "passages": passages}),
            payload: Bytes::new(),
            deadline: Some(self.deadline),
        };
        // The call may also wait for a worker; whoever searches does not wait longer for that.
        let answered = tokio::time::timeout(self.deadline * 2, self.plugins.call(call)).await;
        let answered = answered.unwrap_or(Err(PluginError::Overloaded));
        let answer = answered.map_err(|error| RerankerError::Plugin(self.name.clone(), error))?;
        let wrong = || RerankerError::Shape(self.name.clone(), passages.len());
        let answer: Answer = serde_json::from_value(answer.result).map_err(|_| wrong())?;
        if answer.scores.len() != passages.len() || !answer.scores.iter().all(|score| score.is_finite()) {
            return Err(wrong());
        }
        Ok(answer.scores)
    }
}
