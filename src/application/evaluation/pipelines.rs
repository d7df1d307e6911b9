//! The pipelines that are compared, and the ranking that each makes of each question.

use std::collections::HashMap;

use docket_domain::retrieval::metrics::{Measures, measure, trec_order};
use docket_domain::retrieval::{convex_combination, max_sim, reciprocal_rank_fusion};

use super::corpus::{EvaluationError, Part, by_meaning, by_words};
use super::dataset::Dataset;
use crate::application::knowledge::plugin_reranker::PluginReranker;
use crate::application::knowledge::search::{CANDIDATES, FUSED_SHARE, RERANKED, WORDS_SHARE};
use crate::application::ports::KeywordIndex;
use crate::application::ports::embedder::{Embedder, TokenVectors, Urgency};

/// Passages that count.
pub const CUT: usize = 10;

/// The pipelines in the order of the table.
pub const PIPELINES: [&str; 7] =
    ["bm25", "dense", "rrf k=60", "rrf k=10", "convex", "convex + maxsim", "convex + plugin"];

/// What each pipeline achieved on each question, in the order of the questions; none where it was not run.
pub type Outcomes = Vec<Vec<Option<Measures>>>;

/// A prepared dataset.
pub struct Evaluation<'a> {
    /// Passages, questions, judgments.
    pub dataset: &'a Dataset,
    /// The passages by their words.
    pub words: &'a dyn KeywordIndex,
    /// The passages in parts.
    pub parts: &'a [Part],
    /// A vector for each part.
    pub vectors: &'a [Vec<f32>],
    /// A vector for each question.
    pub questions: &'a [Vec<f32>],
    /// The model, for the tokens of the candidates.
    pub embedder: &'a dyn Embedder,
    /// Reranks, too, where one is named.
    pub reranker: Option<&'a PluginReranker>,
    /// How many questions are reranked, evenly spread; reranking costs seconds a question.
    pub reranked_questions: usize,
}

impl Evaluation<'_> {
    /// Runs every pipeline on every question; `done` hears of each question.
    pub async fn run(&self, done: &mut dyn FnMut()) -> Result<Outcomes, EvaluationError> {
        let mut outcomes: Outcomes = vec![Vec::with_capacity(self.dataset.questions.len()); PIPELINES.len()];
        let mut tokens: HashMap<usize, TokenVectors> = HashMap::new();
        let count = self.dataset.questions.len();
        for (place, question) in self.dataset.questions.iter().enumerate() {
            let words = by_words(self.words, &question.text, CANDIDATES)?;
            let near = by_meaning(self.parts, self.vectors, &self.questions[place], CANDIDATES);
            let nearest_part: HashMap<usize, usize> =
                near.iter().map(|(document, _, part)| (*document, *part)).collect();
            let near: Vec<(usize, f64)> = near.into_iter().map(|(document, score, _)| (document, score)).collect();
            let convex = convex_combination(&[(&words, WORDS_SHARE), (&near, 1.0 - WORDS_SHARE)]);
            let chosen = place * self.reranked_questions / count != (place + 1) * self.reranked_questions / count;
            let reranked = if chosen {
                Some(self.rerank(&question.text, &convex, &nearest_part, &mut tokens).await?)
            } else {
                None
            };
            let by_plugin = match self.reranker {
                Some(plugin) if chosen => Some(self.rerank_by(plugin, &question.text, &convex, &nearest_part).await?),
                _ => None,
            };
            let rankings = [
                Some(words.clone()),
                Some(near.clone()),
                Some(reciprocal_rank_fusion(&[&words, &near], 60.0)),
                Some(reciprocal_rank_fusion(&[&words, &near], 10.0)),
                Some(convex),
                reranked,
                by_plugin,
            ];
            for (outcome, ranking) in outcomes.iter_mut().zip(rankings) {
                outcome.push(ranking.map(|ranking| self.judge(&question.id, &ranking)));
            }
            done();
        }
        Ok(outcomes)
    }

    fn judge(&self, question: &str, ranking: &[(usize, f64)]) -> Measures {
        let documents = &self.dataset.documents;
        let mut run: Vec<(String, f64)> =
            ranking.iter().map(|(place, score)| (documents[*place].id.clone(), *score)).collect();
        trec_order(&mut run);
        let ids = run.iter().map(|(id, _)| id.as_str());
        self.dataset.judgments.get(question).map_or_else(Measures::default, |judged| measure(ids, judged, CUT))
    }

    /// A passage is compared by its nearest part; one that only words found, by its first.
    fn part_of(&self, document: usize, nearest_part: &HashMap<usize, usize>) -> usize {
        let first = self.parts.partition_point(|part| part.document < document);
        nearest_part.get(&document).copied().unwrap_or(first)
    }

    /// A plugin's judgment of the first candidates, mixed with the order before. A plugin that gives none ends the evaluation: a
    /// figure of the order before would not be its own.
    async fn rerank_by(
        &self,
        plugin: &PluginReranker,
        question: &str,
        ranking: &[(usize, f64)],
        nearest_part: &HashMap<usize, usize>,
    ) -> Result<Vec<(usize, f64)>, EvaluationError> {
        let first: Vec<(usize, f64)> = ranking.iter().take(RERANKED).copied().collect();
        let text = |(document, _): &(usize, f64)| self.parts[self.part_of(*document, nearest_part)].text.clone();
        let scores = plugin.score(question, &first.iter().map(text).collect::<Vec<_>>()).await?;
        let judged: Vec<(usize, f64)> = first.iter().map(|(document, _)| *document).zip(scores).collect();
        Ok(convex_combination(&[(&first, FUSED_SHARE), (&judged, 1.0 - FUSED_SHARE)]))
    }

    /// Late interaction over the first candidates, mixed with the order before, as the service does it.
    async fn rerank(
        &self,
        question: &str,
        ranking: &[(usize, f64)],
        nearest_part: &HashMap<usize, usize>,
        tokens: &mut HashMap<usize, TokenVectors>,
    ) -> Result<Vec<(usize, f64)>, EvaluationError> {
        let first: Vec<(usize, f64)> = ranking.iter().take(RERANKED).copied().collect();
        let wanted: Vec<usize> = first.iter().map(|(document, _)| self.part_of(*document, nearest_part)).collect();
        let missing: Vec<usize> = wanted.iter().copied().filter(|part| !tokens.contains_key(part)).collect();
        let texts: Vec<String> = missing.iter().map(|part| self.parts[*part].text.clone()).collect();
        let computed = self.embedder.embed_tokens(&texts, Urgency::Bulk).await?;
        tokens.extend(missing.into_iter().zip(computed));
        let question = self.embedder.embed_tokens(&[question.to_owned()], Urgency::Interactive).await?;
        let Some(question) = question.first() else { return Ok(first) };
        let compare = |part: &usize| {
            tokens.get(part).map_or(0.0, |found| max_sim(&question.values, &found.values, question.dimensions))
        };
        let compared: Vec<(usize, f64)> =
            first.iter().zip(&wanted).map(|((document, _), part)| (*document, compare(part))).collect();
        Ok(convex_combination(&[(&first, FUSED_SHARE), (&compared, 1.0 - FUSED_SHARE)]))
    }
}
