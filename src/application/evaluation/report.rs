//! The figures of an evaluation, how sure they are, and whether they fell below the baseline.

use std::collections::BTreeMap;

use docket_domain::retrieval::metrics::Measures;
use docket_domain::retrieval::statistics::{bootstrap_interval, mean, paired_randomisation_test};
use serde::{Deserialize, Serialize};

use super::chunkings::CutReport;
use super::judging::Judged;
use super::pipelines::{Outcomes, PIPELINES};

/// Repetitions of bootstrap and paired test.
const REPETITIONS: usize = 5_000;
/// From which everything is drawn, so that the same run gives the same report.
const SEED: u64 = 20_260_101;
/// A figure may fall by so much: rounding of other processors, not a worse pipeline.
pub const TOLERANCE: f64 = 0.005;

/// A mean with the interval that holds it with a probability of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The mean over the questions.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// A pipeline's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PipelineReport {
    /// Its name.
    pub pipeline: String,
    /// Questions it was run on.
    pub questions: usize,
    /// nDCG@10.
    pub ndcg: Figure,
    /// Recall@10.
    pub recall: Figure,
    /// MRR@10.
    pub reciprocal_rank: Figure,
    /// MAP@10.
    pub average_precision: Figure,
    /// For each other pipeline, on the questions that both were run on: the gain in nDCG@10, and the probability of so large a difference
    /// between equals.
    pub against: BTreeMap<String, Comparison>,
}

/// One pipeline against another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The gain in the mean.
    pub gain: f64,
    /// The paired randomisation test's p, two-sided.
    pub p: f64,
}

/// All figures of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub dataset: String,
    /// Its passages.
    pub documents: usize,
    /// The embedding model.
    pub model: String,
    /// The pipelines.
    pub pipelines: Vec<PipelineReport>,
    /// The same with the documents cut in different ways, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunkings: Vec<CutReport>,
}

impl Report {
    /// Sums up what each pipeline achieved.
    pub fn new(dataset: &str, documents: usize, model: &str, outcomes: &Outcomes) -> Self {
        let ran = PIPELINES.iter().zip(outcomes).filter(|(_, outcome)| outcome.iter().any(Option::is_some));
        let ran: Vec<_> = ran.collect();
        let pipelines = ran.iter().map(|(name, outcome)| summarise(name, outcome, &ran)).collect();
        Self { dataset: dataset.to_owned(), documents, model: model.to_owned(), pipelines, chunkings: Vec::new() }
    }

    /// What the baseline keeps: nDCG@10 and Recall@10 of each pipeline, to four digits, and on what they were measured.
    pub fn baseline(&self) -> Baseline {
        let rounded = |figure: f64| (figure * 10_000.0).round() / 10_000.0;
        let figures = |pipeline: &PipelineReport| {
            (pipeline.pipeline.clone(), [pipeline.ndcg.mean, pipeline.recall.mean].map(rounded))
        };
        let questions = self.pipelines.iter().map(|pipeline| pipeline.questions).max().unwrap_or_default();
        Baseline { questions, model: self.model.clone(), pipelines: self.pipelines.iter().map(figures).collect() }
    }

    /// Where this report is worse than the baseline by more than [`TOLERANCE`], or cannot be held against it, in words.
    pub fn regressions(&self, baseline: &Baseline) -> Vec<String> {
        if self.model != baseline.model {
            let (dataset, own, known) = (&self.dataset, &self.model, &baseline.model);
            return vec![format!(
                "{dataset}: the baseline was measured with {known}, this run with {own}: figures of two models are not compared"
            )];
        }
        let mut found = Vec::new();
        for (name, known) in &baseline.pipelines {
            let Some(pipeline) = self.pipelines.iter().find(|pipeline| pipeline.pipeline == *name) else {
                found.push(format!("{name} was not run"));
                continue;
            };
            if pipeline.questions != baseline.questions {
                let (dataset, own, asked) = (&self.dataset, pipeline.questions, baseline.questions);
                found.push(format!(
                    "{dataset}: the baseline of {name} was measured on {asked} questions, this run on {own}: \
                     the figures are not of the same questions"
                ));
                continue;
            }
            let measured = [("nDCG@10", pipeline.ndcg.mean), ("Recall@10", pipeline.recall.mean)];
            for ((measure, now), before) in measured.into_iter().zip(known) {
                if now + TOLERANCE < *before {
                    found.push(format!("{}: {measure} of {name} fell from {before:.4} to {now:.4}", self.dataset));
                }
            }
        }
        found
    }
}

/// The mean of these values with its interval.
pub(super) fn figure(values: &[f64]) -> Figure {
    let (low, high) = bootstrap_interval(values, REPETITIONS, SEED);
    Figure { mean: mean(values), low, high }
}

/// What later runs are held against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Questions that every pipeline was run on.
    pub questions: usize,
    /// The embedding model.
    pub model: String,
    /// nDCG@10 and Recall@10 by pipeline.
    pub pipelines: BTreeMap<String, [f64; 2]>,
}

/// These values against those of the same questions elsewhere.
pub(super) fn compared(own: &[f64], others: &[f64]) -> Comparison {
    let p = paired_randomisation_test(own, others, REPETITIONS, SEED);
    Comparison { gain: mean(own) - mean(others), p }
}

fn summarise(name: &str, outcome: &[Option<Judged>], all: &[(&&str, &Vec<Option<Judged>>)]) -> PipelineReport {
    let figure = |of: fn(&Measures) -> f64| {
        figure(&outcome.iter().flatten().map(|judged| of(&judged.measures)).collect::<Vec<f64>>())
    };
    let against = all.iter().filter(|(other, _)| **other != name).map(|(other, others)| {
        let pairs = outcome
            .iter()
            .zip(others.iter())
            .filter_map(|(own, other)| Some(((*own)?.measures.ndcg, (*other)?.measures.ndcg)));
        let (own, other_values): (Vec<f64>, Vec<f64>) = pairs.unzip();
        ((**other).to_owned(), compared(&own, &other_values))
    });
    PipelineReport {
        pipeline: name.to_owned(),
        questions: outcome.iter().flatten().count(),
        ndcg: figure(|measures| measures.ndcg),
        recall: figure(|measures| measures.recall),
        reciprocal_rank: figure(|measures| measures.reciprocal_rank),
        average_precision: figure(|measures| measures.average_precision),
        against: against.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_below_the_baseline_is_named() {
        let measures = |ndcg| Measures { ndcg, recall: ndcg, ..Measures::default() };
        let one = |ndcg| Some(Judged { measures: measures(ndcg), ..Judged::default() });
        let outcomes = vec![vec![one(0.5), one(0.7)], vec![one(0.4), one(0.3)], vec![], vec![], vec![], vec![]];
        let report = Report::new("set", 2, "model", &outcomes);
        assert_eq!(report.pipelines.len(), 2);
        assert!((report.pipelines[0].against["dense"].gain - 0.25).abs() < 1e-9);
        let own = report.baseline();
        assert_eq!((own.questions, own.model.as_str(), own.pipelines["bm25"]), (2, "model", [0.6, 0.6]));
        assert!(report.regressions(&own).is_empty());
        let better = BTreeMap::from([("bm25".to_owned(), [0.7, 0.6]), ("convex".to_owned(), [0.1, 0.1])]);
        assert_eq!(report.regressions(&Baseline { pipelines: better, ..own }).len(), 2);
    }

    #[test]
    fn figures_of_other_questions_or_of_another_model_are_not_compared() {
        let one = |ndcg| Some(Judged { measures: Measures { ndcg, ..Measures::default() }, ..Judged::default() });
        // The second pipeline was run on the easier half.
        let outcomes = vec![vec![one(0.2), one(0.8)], vec![None, one(0.9)], vec![], vec![], vec![], vec![]];
        let report = Report::new("set", 2, "model", &outcomes);
        assert_eq!((report.pipelines[0].questions, report.pipelines[1].questions), (2, 1));
        assert!((report.pipelines[0].against["dense"].gain + 0.1).abs() < 1e-9);
        let known = report.baseline();
        let refused = report.regressions(&known);
        assert_eq!(refused.len(), 1);
        assert!(refused[0].contains("baseline of dense was measured on 2 questions, this run on 1"), "{refused:?}");
        let refused = report.regressions(&Baseline { model: "other".to_owned(), ..known });
        assert_eq!(refused.len(), 1);
        assert!(refused[0].contains("measured with other, this run with model"), "{refused:?}");
    }
}
