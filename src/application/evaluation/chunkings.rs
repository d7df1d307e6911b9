//! The same pipelines over the same documents, cut in different ways: figures of each, and tests between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::judging::{Judged, cut_in_two, tokens};
use super::pipelines::{Outcomes, PIPELINES};
use super::report::{Comparison, Figure, compared, figure};

/// The name of documents that are not cut: by words each is found as a whole, by meaning as its nearest part of the model's window.
pub const UNCUT: &str = "uncut";

/// A way of cutting, and what the pipelines achieved with it.
#[derive(Debug)]
pub struct CutRun {
    /// Its name.
    pub chunking: String,
    /// Passages that it makes of the documents.
    pub passages: usize,
    /// Their tokens, as documents are cut by; the mean.
    pub mean_tokens: f64,
    /// Of the quotes that are judged, how many no passage holds whole, and how many there are.
    pub cut_in_two: Option<(usize, usize)>,
    /// By pipeline and question.
    pub outcomes: Outcomes,
}

impl CutRun {
    /// What came of a dataset that was cut like this.
    pub fn new(chunking: &str, dataset: &Dataset, outcomes: Outcomes) -> Self {
        let passages = dataset.documents.len();
        let sum: f64 = dataset.documents.iter().map(|passage| f64::from(tokens(&passage.text))).sum();
        #[allow(clippy::cast_precision_loss, reason = "passages are counted in thousands")]
        let mean_tokens = sum / passages.max(1) as f64;
        Self { chunking: chunking.to_owned(), passages, mean_tokens, cut_in_two: cut_in_two(dataset), outcomes }
    }
}

/// The figures of a way of cutting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutReport {
    /// Its name.
    pub chunking: String,
    /// Passages.
    pub passages: usize,
    /// Tokens of a passage, the mean.
    pub mean_tokens: f64,
    /// Of the quotes that are judged, how many no passage holds whole, and how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_in_two: Option<(usize, usize)>,
    /// The pipelines that were run.
    pub pipelines: Vec<CutPipeline>,
}

/// The figures of a pipeline with a way of cutting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CutPipeline {
    /// Its name.
    pub pipeline: String,
    /// Questions it was run on.
    pub questions: usize,
    /// nDCG@10.
    pub ndcg: Figure,
    /// Recall@10.
    pub recall: Figure,
    /// The recall of the first five passages.
    pub recall_of_few: Figure,
    /// The recall of the first thousand tokens.
    pub recall_of_tokens: Figure,
    /// Against the same pipeline with each other way of cutting.
    pub against: BTreeMap<String, CutComparison>,
}

/// A way of cutting against another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CutComparison {
    /// In nDCG@10.
    pub ndcg: Comparison,
    /// In the recall of the first thousand tokens.
    pub recall_of_tokens: Comparison,
}

/// Sums up what came of each way of cutting. All were run on the same questions in the same order.
pub fn compare_cuts(runs: &[CutRun]) -> Vec<CutReport> {
    let report = |run: &CutRun| CutReport {
        chunking: run.chunking.clone(),
        passages: run.passages,
        mean_tokens: run.mean_tokens,
        cut_in_two: run.cut_in_two,
        pipelines: (0..PIPELINES.len()).filter_map(|pipeline| summarise(run, pipeline, runs)).collect(),
    };
    runs.iter().map(report).collect()
}

fn summarise(run: &CutRun, pipeline: usize, runs: &[CutRun]) -> Option<CutPipeline> {
    let own = run.outcomes.get(pipeline)?;
    let questions = own.iter().flatten().count();
    let of = |measure: fn(&Judged) -> f64| figure(&own.iter().flatten().map(measure).collect::<Vec<f64>>());
    let others = runs.iter().filter(|other| other.chunking != run.chunking);
    let against = others.filter_map(|other| {
        let pairs = own.iter().zip(other.outcomes.get(pipeline)?).filter_map(|(own, other)| Some(((*own)?, (*other)?)));
        let pairs: Vec<(Judged, Judged)> = pairs.collect();
        let by = |measure: fn(&Judged) -> f64| {
            let (own, others): (Vec<f64>, Vec<f64>) =
                pairs.iter().map(|(own, other)| (measure(own), measure(other))).unzip();
            compared(&own, &others)
        };
        let comparison = CutComparison { ndcg: by(ndcg), recall_of_tokens: by(|judged| judged.recall_of_tokens) };
        (!pairs.is_empty()).then(|| (other.chunking.clone(), comparison))
    });
    (questions > 0).then(|| CutPipeline {
        pipeline: PIPELINES[pipeline].to_owned(),
        questions,
        ndcg: of(ndcg),
        recall: of(|judged| judged.measures.recall),
        recall_of_few: of(|judged| judged.recall_of_few),
        recall_of_tokens: of(|judged| judged.recall_of_tokens),
        against: against.collect(),
    })
}

const fn ndcg(judged: &Judged) -> f64 {
    judged.measures.ndcg
}

#[cfg(test)]
mod tests {
    use docket_domain::retrieval::metrics::Measures;

    use super::*;

    fn run(chunking: &str, figures: &[Option<f64>]) -> CutRun {
        let judged = |ndcg: &Option<f64>| {
            let measures = |ndcg| Measures { ndcg, ..Measures::default() };
            ndcg.map(|ndcg| Judged { measures: measures(ndcg), recall_of_tokens: 0.5, ..Judged::default() })
        };
        let outcomes = vec![figures.iter().map(judged).collect()];
        CutRun { chunking: chunking.to_owned(), passages: 3, mean_tokens: 9.0, cut_in_two: None, outcomes }
    }

    #[test]
    fn each_pipeline_is_held_against_itself_on_the_questions_that_both_answered() {
        let reports = compare_cuts(&[run("one", &[Some(0.9), Some(0.5)]), run("two", &[Some(0.4), None])]);
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[0].pipelines.len(), 1, "pipelines that were not run are left out");
        let first = &reports[0].pipelines[0];
        assert_eq!((first.pipeline.as_str(), first.questions), (PIPELINES[0], 2));
        let against = first.against["two"];
        assert!((against.ndcg.gain - 0.5).abs() < 1e-9 && against.recall_of_tokens.gain.abs() < 1e-9);
        assert!((reports[1].pipelines[0].against["one"].ndcg.gain + 0.5).abs() < 1e-9);
    }
}
