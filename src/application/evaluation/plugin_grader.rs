//! Grading by a plugin of the group `docket.graders`, beside the measures of docket's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::application::ports::plugins::{PluginCall, PluginError, PluginGroup, Plugins};

/// Why a plugin gave no marks.
#[derive(Debug, thiserror::Error)]
pub enum GraderError {
    /// The call gave nothing.
    #[error("the grader {0}: {1}")]
    Plugin(String, #[source] PluginError),
    /// Its answer is not a mark between 0 and 1 for each name.
    #[error("the grader {0} gave marks that are not between 0 and 1: {1}")]
    Shape(String, String),
}

/// A plugin that grades answers.
#[derive(Clone)]
pub struct PluginGrader {
    /// Runs it.
    pub plugins: Arc<dyn Plugins>,
    /// Its name.
    pub name: String,
}

#[derive(Deserialize)]
struct Answer {
    marks: BTreeMap<String, f64>,
}

impl PluginGrader {
    /// Marks between 0 and 1 by name.
    pub async fn grade(
        &self,
        question: &str,
        answer: &str,
        contexts: &[&str],
    ) -> Result<BTreeMap<String, f64>, GraderError> {
        let call = PluginCall {
            group: PluginGroup::Graders,
            name: self.name.clone(),
            arguments: json!({"question": question, "answer": answer, "contexts": contexts}),
            payload: Bytes::new(),
            deadline: None,
        };
        let answered = self.plugins.call(call).await;
        let answered = answered.map_err(|error| GraderError::Plugin(self.name.clone(), error))?;
        let shown = answered.result.to_string();
        let wrong = || GraderError::Shape(self.name.clone(), shown.chars().take(200).collect());
        let answer: Answer = serde_json::from_value(answered.result).map_err(|_| wrong())?;
        let sound = answer.marks.values().all(|mark| (0.0..=1.0).contains(mark));
        if sound { Ok(answer.marks) } else { Err(wrong()) }
    }
}
