//! The offline model: answers with sentences of the passages, word for word. It needs no key, no network and no weights of a
//! language model, gives the same answer to the same question, and never says more than the passages do.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::answer::extract::candidates;
use docket_domain::answer::{Extract, ExtractRules, Line, extract};
use docket_domain::budget::{Usage, estimate_tokens};
use futures::stream;

use crate::application::knowledge::embedding_cache::EmbeddingCache;
use crate::application::ports::Embedder;
use crate::application::ports::language_model::{
    LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream, StopReason,
};

/// The name under which it appears, and its row in the price table.
pub const MODEL: &str = "docket-extractive";

/// [`LanguageModel`] by extraction (`docket_domain::answer::extract`).
pub struct ExtractiveModel {
    /// With a memory: the same regulations are asked about again and again, and computing the vectors of their sentences is most
    /// of the time of an answer.
    vectors: Option<EmbeddingCache>,
    rules: ExtractRules,
    not_found: &'static str,
}

impl ExtractiveModel {
    /// With the meaning of sentences, where a model for it is at hand. `not_found` is what it says when it finds nothing.
    pub fn new(embedder: Option<Arc<dyn Embedder>>, rules: ExtractRules, not_found: &'static str) -> Self {
        Self { vectors: embedder.map(EmbeddingCache::new), rules, not_found }
    }

    /// How alike the question and each line are; none where no embedding model is at hand at the moment.
    async fn likeness(&self, request: &ModelRequest, passages: &[(&str, &str)], lines: &[Line]) -> Option<Vec<f32>> {
        let vectors = self.vectors.as_ref().filter(|_| !lines.is_empty())?;
        let sentences = lines.iter().map(|line| &passages[line.passage].1[line.range.clone()]);
        let texts: Vec<&str> = std::iter::once(request.question.as_str()).chain(sentences).collect();
        let vectors = match vectors.texts(request.tenant_id, &texts).await {
            Ok(vectors) => vectors,
            Err(error) => {
                tracing::debug!(%error, "answering by words alone");
                return None;
            }
        };
        let (asked, rest) = vectors.split_first()?;
        Some(rest.iter().map(|vector| asked.iter().zip(&**vector).map(|(one, other)| one * other).sum()).collect())
    }

    async fn lines(&self, request: &ModelRequest) -> Vec<Line> {
        let passages: Vec<(&str, &str)> =
            request.passages.iter().map(|passage| (passage.title.as_str(), passage.text.as_str())).collect();
        let found = candidates(&request.question, &passages);
        let cosines = self.likeness(request, &passages, &found).await;
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use docket_domain::ids::TenantId;
    use futures::StreamExt;

    use super::*;
    use crate::application::ports::embedder::{EmbedderError, TokenVectors, Urgency};
    use crate::application::ports::language_model::{GroundingPassage, Sampling};

    async fn said(question: &str) -> String {
        let tenant = TenantId(uuid::Uuid::nil());
        said_to(&ExtractiveModel::new(None, ExtractRules::default(), "Not found."), tenant, question).await
    }

    async fn said_to(model: &ExtractiveModel, tenant_id: TenantId, question: &str) -> String {
        let text = "# Reporting\nAn operator reports a leak of gas\nwithin 24 hours of its discovery. The report names the valve.";
        let passage = GroundingPassage { number: 1, title: "Leaks".to_owned(), text: text.to_owned() };
        let request = ModelRequest {
            tenant_id,
            instructions: String::new(),
            question: question.to_owned(),
            passages: vec![passage],
            max_output_tokens: 100,
            sampling: Sampling::Usual,
        };
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

    /// Gives every text the same vector and counts the texts.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    #[async_trait]
    impl Embedder for Counting {
        fn model(&self) -> &'static str {
            "counting"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn window(&self) -> usize {
            256
        }

        fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
            Ok(text.len())
        }

        async fn embed(&self, texts: &[String], _: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError> {
            self.0.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(vec![vec![1.0]; texts.len()])
        }

        async fn embed_tokens(&self, _: &[String], _: Urgency) -> Result<Vec<TokenVectors>, EmbedderError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_sentence_is_computed_once_for_a_tenant_and_again_for_another() {
        let embedder = Arc::new(Counting::default());
        let model = ExtractiveModel::new(Some(embedder.clone()), ExtractRules::default(), "Not found.");
        let (one, other) = (TenantId(uuid::Uuid::from_u128(1)), TenantId(uuid::Uuid::from_u128(2)));
        let mut computed = Vec::new();
        let questions =
            ["Within how many hours must a gas leak be reported?", "Within how many hours is a leak reported?"];
        let first = said_to(&model, one, questions[0]).await;
        for (tenant, question) in [(one, questions[0]), (one, questions[1]), (other, questions[0])] {
            computed.push(embedder.0.load(Ordering::Relaxed));
            assert_eq!(said_to(&model, tenant, question).await, first);
        }
        computed.push(embedder.0.load(Ordering::Relaxed));
        let sentences = computed[0] - 1;
        assert!(sentences > 0, "the question and its sentences are compared");
        assert_eq!(computed[1..], [computed[0], computed[0] + 1, 2 * computed[0] + 1]);
    }
}
