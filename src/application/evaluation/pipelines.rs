//! The pipelines that are compared, and the ranking that each makes of each question.

use std::collections::HashMap;

use docket_domain::retrieval::statistics::mean;
use docket_domain::retrieval::{convex_combination, reciprocal_rank_fusion};

use super::corpus::{EvaluationError, Part, by_meaning, by_words};
use super::dataset::Dataset;
use super::gold::Half;
use super::judging::{Judged, judge};
use crate::application::knowledge::plugin_reranker::PluginReranker;
use crate::application::knowledge::search::{CANDIDATES, FUSED_SHARE, RERANKED, WORDS_SHARE};
use crate::application::ports::KeywordIndex;

/// The pipelines in the order of the table.
pub const PIPELINES: [&str; 7] =
    ["bm25", "dense", "rrf k=60", "rrf k=10", "convex", "convex + maxsim", "convex + plugin"];

/// What each pipeline achieved on each question, in the order of the questions; none where it was not run.
pub type Outcomes = Vec<Vec<Option<Judged>>>;

/// Places in the dataset with their scores, best first.
type Ranking = Vec<(usize, f64)>;

/// What was found for a question.
#[derive(Debug, Clone)]
pub struct Lists {
    words: Ranking,
    near: Ranking,
    convex: Ranking,
    /// Of the first passages of the convex combination, the part that a reranker reads; none where the question is not reranked.
    pub candidates: Option<Vec<usize>>,
}

#[cfg(test)]
impl Lists {
    /// Nothing but candidates.
    pub(super) fn to_compare(candidates: Option<Vec<usize>>) -> Self {
        Self { words: Vec::new(), near: Vec::new(), convex: Vec::new(), candidates }
    }
}

/// nDCG@10 of late interaction with one share of the order before, on two halves of the questions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareFigure {
    /// The share that the order before has.
    pub share: f64,
    /// On the questions that the share may be chosen by, and how many they are.
    pub tuning: (f64, usize),
    /// On those that it may not.
    pub held_out: (f64, usize),
}

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
    /// Reranks, too, where one is named.
    pub reranker: Option<&'a PluginReranker>,
    /// How many questions are reranked, evenly spread.
    pub reranked_questions: usize,
}

impl Evaluation<'_> {
    /// Asks every question; `done` hears of each.
    pub fn search(&self, done: &mut dyn FnMut()) -> Result<Vec<Lists>, EvaluationError> {
        let count = self.dataset.questions.len();
        let mut lists = Vec::with_capacity(count);
        for (place, question) in self.dataset.questions.iter().enumerate() {
            let words = by_words(self.words, question, CANDIDATES)?;
            let visible = |passage: usize| question.sight.covers(self.dataset.documents[passage].confidentiality);
            let near = by_meaning((self.parts, self.vectors), &self.questions[place], CANDIDATES, visible);
            let nearest_part: HashMap<usize, usize> =
                near.iter().map(|(document, _, part)| (*document, *part)).collect();
            let near: Ranking = near.into_iter().map(|(document, score, _)| (document, score)).collect();
            let convex = convex_combination(&[(&words, WORDS_SHARE), (&near, 1.0 - WORDS_SHARE)]);
            let chosen = place * self.reranked_questions / count != (place + 1) * self.reranked_questions / count;
            let part = |(document, _): &(usize, f64)| self.part_of(*document, &nearest_part);
            let candidates = chosen.then(|| convex.iter().take(RERANKED).map(part).collect());
            lists.push(Lists { words, near, convex, candidates });
            done();
        }
        Ok(lists)
    }

    /// Judges every pipeline on every question, given what late interaction made of the candidates; `done` hears of each question.
    pub async fn judge_all(
        &self,
        lists: &[Lists],
        compared: &[Option<Vec<f64>>],
        done: &mut dyn FnMut(),
    ) -> Result<Outcomes, EvaluationError> {
        let mut outcomes: Outcomes = vec![Vec::with_capacity(lists.len()); PIPELINES.len()];
        for ((question, list), compared) in self.dataset.questions.iter().zip(lists).zip(compared) {
            let by_plugin = match (self.reranker, &list.candidates) {
                (Some(plugin), Some(candidates)) => {
                    // A plugin that gives no judgment ends the evaluation: a figure of the order before would not be its own.
                    let texts: Vec<String> = candidates.iter().map(|part| self.parts[*part].text.clone()).collect();
                    Some(mixed(list, &plugin.score(&question.text, &texts).await?, FUSED_SHARE))
                }
                _ => None,
            };
            let rankings = [
                Some(list.words.clone()),
                Some(list.near.clone()),
                Some(reciprocal_rank_fusion(&[&list.words, &list.near], 60.0)),
                Some(reciprocal_rank_fusion(&[&list.words, &list.near], 10.0)),
                Some(list.convex.clone()),
                compared.as_ref().map(|judged| mixed(list, judged, FUSED_SHARE)),
                by_plugin,
            ];
            for (outcome, ranking) in outcomes.iter_mut().zip(rankings) {
                outcome.push(ranking.map(|ranking| judge(self.dataset, &question.id, &ranking)));
            }
            done();
        }
        Ok(outcomes)
    }

    /// Late interaction with the order before having each of these shares.
    pub fn shares(&self, lists: &[Lists], compared: &[Option<Vec<f64>>], shares: &[f64]) -> Vec<ShareFigure> {
        let figure = |share: &f64| {
            let (mut tuning, mut held_out) = (Vec::new(), Vec::new());
            for ((question, list), judged) in self.dataset.questions.iter().zip(lists).zip(compared) {
                let Some(judged) = judged else { continue };
                let half = if Half::of(&question.id) == Half::Tuning { &mut tuning } else { &mut held_out };
                half.push(judge(self.dataset, &question.id, &mixed(list, judged, *share)).measures.ndcg);
            }
            let of = |half: &[f64]| (mean(half), half.len());
            ShareFigure { share: *share, tuning: of(&tuning), held_out: of(&held_out) }
        };
        shares.iter().map(figure).collect()
    }

    /// A passage is compared by its nearest part; one that only words found, by its first.
    fn part_of(&self, document: usize, nearest_part: &HashMap<usize, usize>) -> usize {
        let first = self.parts.partition_point(|part| part.document < document);
        nearest_part.get(&document).copied().unwrap_or(first)
    }
}

/// The first candidates by what somebody judged of them and by the order before, as the service mixes both.
fn mixed(list: &Lists, judged: &[f64], share: f64) -> Ranking {
    let first: Ranking = list.convex.iter().take(judged.len()).copied().collect();
    let judged: Ranking = first.iter().map(|(document, _)| *document).zip(judged.iter().copied()).collect();
    convex_combination(&[(&first, share), (&judged, 1.0 - share)])
}
