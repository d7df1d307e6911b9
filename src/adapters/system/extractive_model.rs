//! The offline model: answers with sentences of the passages, word for word. It needs no key, no network and no weights of a
//! language model, gives the same answer to the same question, and never says more than the passages do.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::answer::extract::candidates;
use docket_domain::answer::{Extract, ExtractRules, Line, extract};
use docket_domain::budget::{Usage, estimate_tokens};
use futures::stream;

use crate::application::ports::Embedder;
use crate::application::ports::embedder::Urgency;
use crate::application::ports::language_model::{
    LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream, StopReason,
};

/// The name under which it appears, and its row in the price table.
pub const MODEL: &str = "docket-extractive";

/// [`LanguageModel`] by extraction (`docket_domain::answer::extract`).
pub struct ExtractiveModel {
    embedder: Option<Arc<dyn Embedder>>,
    rules: ExtractRules,
    not_found: &'static str,
}

impl ExtractiveModel {
    /// With the meaning of sentences, where a model for it is at hand. `not_found` is what it says when it finds nothing.
    pub fn new(embedder: Option<Arc<dyn Embedder>>, rules: ExtractRules, not_found: &'static str) -> Self {
        Self { embedder, rules, not_found }
    }

    /// How alike the question and each line are; none where no embedding model is at hand at the moment.
    async fn likeness(&self, question: &str, passages: &[(&str, &str)], lines: &[Line]) -> Option<Vec<f32>> {
        let embedder = self.embedder.as_ref().filter(|_| !lines.is_empty())?;
        let sentence = |line: &Line| passages[line.passage].1[line.range.clone()].to_owned();
        let texts: Vec<String> = std::iter::once(question.to_owned()).chain(lines.iter().map(sentence)).collect();
        let vectors = match embedder.embed(&texts, Urgency::Interactive).await {
            Ok(vectors) => vectors,
            Err(error) => {
                tracing::debug!(%error, "answering by words alone");
                return None;
            }
        };
        let (asked, rest) = vectors.split_first()?;
        Some(rest.iter().map(|vector| asked.iter().zip(vector).map(|(one, other)| one * other).sum()).collect())
    }

    async fn lines(&self, request: &ModelRequest) -> Vec<Line> {
        let passages: Vec<(&str, &str)> =
            request.passages.iter().map(|passage| (passage.title.as_str(), passage.text.as_str())).collect();
        let found = candidates(&request.question, &passages);
        let cosines = self.likeness(&request.question, &passages, &found).await;
        match extract(&found, cosines.as_deref(), self.rules) {
            Extract::Lines(lines) => lines,
            Extract::NotFound => Vec::new(),
        }
    }
}

/// A sentence on one line, ended by a full stop, with the number of its passage.
fn cited(request: &ModelRequest, line: &Line) -> String {
    let passage = &request.passages[line.passage];
    let words: Vec<&str> = passage.text[line.range.clone()].split_whitespace().collect();
    let sentence = words.join(" ");
    let sentence = sentence.trim_start_matches(['-', '*', '+', '•', '|', ' ']);
    let stop = if sentence.ends_with(['.', '!', '?', '"', '”', ')']) { "" } else { "." };
    format!("{sentence}{stop} [{}] ", passage.number)
}

#[async_trait]
impl LanguageModel for ExtractiveModel {
    fn provider(&self) -> &'static str {
        "docket"
    }

    fn model(&self) -> &'static str {
        MODEL
    }

    fn input_tokens_at_most(&self, request: &ModelRequest) -> u64 {
        let passages: u64 = request.passages.iter().map(|passage| estimate_tokens(&passage.text)).sum();
        estimate_tokens(&request.question) + passages
    }

    async fn stream(&self, request: &ModelRequest) -> Result<ModelStream, ModelError> {
        let lines = self.lines(request).await;
        let texts: Vec<String> = if lines.is_empty() {
            vec![self.not_found.to_owned()]
        } else {
            lines.iter().map(|line| cited(request, line)).collect()
        };
        let usage = Usage {
            input_tokens: self.input_tokens_at_most(request),
            output_tokens: texts.iter().map(|text| estimate_tokens(text)).sum(),
            ..Usage::default()
        };
        let events = texts.into_iter().map(ModelEvent::Text);
        let events = events.chain([ModelEvent::Usage(usage), ModelEvent::End(StopReason::Complete)]);
        Ok(Box::pin(stream::iter(events.map(Ok).collect::<Vec<_>>())))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::StreamExt;

    use super::*;
    use crate::application::ports::language_model::GroundingPassage;

    async fn said(question: &str) -> String {
        let text = "# Reporting\nAn operator reports a leak of gas\nwithin 24 hours of its discovery. The report names the valve.";
        let passage = GroundingPassage { number: 1, title: "Leaks".to_owned(), text: text.to_owned() };
        let request = ModelRequest {
            instructions: String::new(),
            question: question.to_owned(),
            passages: vec![passage],
            max_output_tokens: 100,
        };
        let model = ExtractiveModel::new(None, ExtractRules::default(), "Not found.");
        let events: Vec<_> = model.stream(&request).await.unwrap().map(Result::unwrap).collect().await;
        assert!(matches!(events.last(), Some(ModelEvent::End(StopReason::Complete))));
        let text = |event: &ModelEvent| if let ModelEvent::Text(text) = event { Some(text.clone()) } else { None };
        events.iter().filter_map(text).collect()
    }

    #[tokio::test]
    async fn it_quotes_the_passage_with_its_number_or_says_that_it_found_nothing() {
        let answer = said("Within how many hours must a gas leak be reported?").await;
        assert!(
            answer.starts_with("An operator reports a leak of gas within 24 hours of its discovery. [1]"),
            "{answer}"
        );
        assert_eq!(said("How many penguins live in the south?").await, "Not found.");
    }
}
