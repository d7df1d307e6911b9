//! What an evaluation of answers adds up to, how sure that is, and whether it is worse than the baseline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answers::{Graded, RECALL_AT};
use super::gold::{Half, Kind};
use super::report::{Figure, TOLERANCE, figure};

/// How many questions of a kind were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Questions.
    pub questions: usize,
    /// Those that got an answer other than that there is none.
    pub answered: usize,
}

/// A measure over those questions for which it means something.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    /// How many.
    pub questions: usize,
    /// The mean, and the interval that holds it with 95 %.
    #[serde(flatten)]
    pub figure: Figure,
}

/// The figures of some of the questions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Part {
    /// By kind.
    pub tallies: BTreeMap<Kind, Tally>,
    /// Citations.
    pub citations: usize,
    /// Citations that do not stand where they say.
    pub invalid_citations: usize,
    /// Answers that say what no answer may say.
    pub forbidden: usize,
    /// Questions for which something is forbidden.
    pub forbidding: usize,
    /// Measures by name.
    pub measures: BTreeMap<&'static str, Measured>,
    /// A plugin's marks by name, over the answers that it graded. No baseline holds them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, Measured>,
}

/// Everything that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct AnswersReport {
    /// The name of the set.
    pub dataset: String,
    /// Who answered.
    pub model: String,
    /// All questions.
    pub all: Part,
    /// The half by which rules may be chosen.
    pub tuning: Part,
    /// The half by which they may not.
    pub held_out: Part,
    /// Each question.
    pub questions: Vec<Graded>,
}

/// What later runs are held against.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AnswersBaseline {
    /// Measures that may not fall by more than [`TOLERANCE`].
    pub at_least: BTreeMap<String, f64>,
    /// Counts that may not grow.
    pub at_most: BTreeMap<String, usize>,
}

impl AnswersReport {
    /// Sums up.
    pub fn new(dataset: &str, model: &str, questions: Vec<Graded>) -> Self {
        let those =
            |wanted: &dyn Fn(&Graded) -> bool| part(&questions.iter().filter(|one| wanted(one)).collect::<Vec<_>>());
        Self {
            dataset: dataset.to_owned(),
            model: model.to_owned(),
            all: those(&|_| true),
            tuning: those(&|one| one.half == Half::Tuning),
            held_out: those(&|one| one.half == Half::HeldOut),
            questions,
        }
    }

    /// What the baseline keeps of this run.
    pub fn baseline(&self) -> AnswersBaseline {
        let rounded = |value: f64| (value * 10_000.0).round() / 10_000.0;
        let measure = |(name, measured): (&&str, &Measured)| ((*name).to_owned(), rounded(measured.figure.mean));
        AnswersBaseline { at_least: self.all.measures.iter().map(measure).collect(), at_most: self.all.faults() }
    }

    /// Where this run is worse than the baseline, in words.
    pub fn regressions(&self, baseline: &AnswersBaseline) -> Vec<String> {
        let mut found = Vec::new();
        for (name, before) in &baseline.at_least {
            match self.all.measures.get(name.as_str()) {
                None => found.push(format!("{}: {name} was not measured", self.dataset)),
                Some(now) if now.figure.mean + TOLERANCE < *before => {
                    found.push(format!("{}: {name} fell from {before:.4} to {:.4}", self.dataset, now.figure.mean));
                }
                Some(_) => {}
            }
        }
        let faults = self.all.faults();
        for (name, before) in &baseline.at_most {
            let now = faults.get(name).copied().unwrap_or_default();
            if now > *before {
                found.push(format!("{}: {name} grew from {before} to {now}", self.dataset));
            }
        }
        found
    }
}

impl Part {
    /// What should never happen, counted.
    pub fn faults(&self) -> BTreeMap<String, usize> {
        let unanswerable = self.tallies.get(&Kind::Unanswerable).copied().unwrap_or_default();
        BTreeMap::from([
            ("invalid citations".to_owned(), self.invalid_citations),
            ("unanswerable answered".to_owned(), unanswerable.answered),
            ("forbidden said".to_owned(), self.forbidden),
        ])
    }
}

/// A measure by its name, for those questions for which it means something.
type Measure<'a> = (&'static str, &'a dyn Fn(&Graded) -> Option<f64>);

fn part(questions: &[&Graded]) -> Part {
    let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
    for one in questions {
        let tally = tallies.entry(one.kind).or_default();
        tally.questions += 1;
        tally.answered += usize::from(one.answered());
    }
    let yes = |value: bool| if value { 1.0 } else { 0.0 };
    let answered = |one: &Graded| (one.kind == Kind::Answerable).then(|| yes(one.answered()));
    let right = |one: &Graded| (one.kind == Kind::Answerable).then(|| yes(one.cites_support == Some(true)));
    let recall: &'static str = if RECALL_AT == 5 { "recall@5" } else { "recall" };
    let of: [Measure<'_>; 10] = [
        (recall, &|one| one.recall),
        ("context precision", &|one| one.context_precision),
        ("context recall", &|one| one.context_recall),
        ("answered", &answered),
        ("right passage cited", &right),
        ("right passage cited, of answered", &|one| one.cites_support.map(yes)),
        ("faithfulness", &|one| one.faithfulness),
        ("answer relevancy", &|one| one.relevancy),
        ("token F1", &|one| one.token_f1),
        ("similarity", &|one| one.similarity),
    ];
    let measures = of.into_iter().filter_map(|(name, of)| {
        let values: Vec<f64> = questions.iter().filter_map(|one| of(one)).collect();
        (!values.is_empty()).then(|| (name, Measured { questions: values.len(), figure: figure(&values) }))
    });
    let mut marks: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (name, mark) in questions.iter().flat_map(|one| &one.marks) {
        marks.entry(name).or_default().push(*mark);
    }
    let marks = marks
        .into_iter()
        .map(|(name, values)| (name.clone(), Measured { questions: values.len(), figure: figure(&values) }));
    Part {
        tallies,
        citations: questions.iter().map(|one| one.citations).sum(),
        invalid_citations: questions.iter().map(|one| one.invalid_citations).sum(),
        forbidden: questions.iter().filter(|one| !one.said_forbidden.is_empty()).count(),
        forbidding: questions.iter().filter(|one| one.forbids).count(),
        measures: measures.collect(),
        marks: marks.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::knowledge::answer::Verdict;

    fn graded(kind: Kind, verdict: Verdict, recall: Option<f64>) -> Graded {
        Graded {
            id: "one".to_owned(),
            kind,
            half: Half::Tuning,
            question: String::new(),
            answer: String::new(),
            verdict,
            citations: 1,
            invalid_citations: 0,
            forbids: false,
            said_forbidden: Vec::new(),
            cites_support: None,
            recall,
            context_precision: None,
            context_recall: None,
            faithfulness: None,
            relevancy: None,
            token_f1: None,
            similarity: None,
            marks: BTreeMap::new(),
        }
    }

    #[test]
    fn a_fall_and_a_new_fault_are_named_and_an_equal_run_is_not() {
        let good = vec![
            graded(Kind::Answerable, Verdict::Supported, Some(1.0)),
            graded(Kind::Unanswerable, Verdict::NotFound, None),
        ];
        let before = AnswersReport::new("set", "model", good).baseline();
        let mut wrong = graded(Kind::Unanswerable, Verdict::Supported, None);
        wrong.said_forbidden.push("secret".to_owned());
        wrong.invalid_citations = 1;
        let bad = vec![graded(Kind::Answerable, Verdict::NotFound, Some(0.5)), wrong];
        let report = AnswersReport::new("set", "model", bad);
        let found = report.regressions(&before);
        for part in [
            "recall@5 fell",
            "answered fell",
            "invalid citations grew",
            "unanswerable answered grew",
            "forbidden said grew",
        ] {
            assert!(found.iter().any(|line| line.contains(part)), "{part} in {found:?}");
        }
        assert!(report.regressions(&report.baseline()).is_empty());
        assert_eq!(report.held_out.tallies.len(), 0);
        assert_eq!(report.tuning.tallies[&Kind::Answerable], Tally { questions: 1, answered: 0 });
    }
}
