//! What an evaluation of answers adds up to, how sure that is, and whether it is worse than the baseline.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answers::{Graded, RECALL_AT};
use super::gold::{Half, Kind};
use super::judge_report::JudgeReport;
use super::judged_answers::MEASURES;
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
    /// A judge's measures by name, over what it judged.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub judged: BTreeMap<&'static str, Measured>,
    /// How many of each of them it did not judge.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_judged: BTreeMap<&'static str, usize>,
}

/// Everything that was found out.
#[derive(Debug, Clone, Serialize)]
pub struct AnswersReport {
    /// The name of the set.
    pub dataset: String,
    /// Who answered.
    pub model: String,
    /// Who judged, what it took, and how far words and judge agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<JudgeReport>,
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
    /// By words, and without a judge.
    #[serde(flatten)]
    pub bounds: Bounds,
    /// By each model that judged, under its name: verdicts of different judges are not compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judged: BTreeMap<String, Bounds>,
}

/// Figures that a later run keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Measures that may not fall by more than [`TOLERANCE`].
    pub at_least: BTreeMap<String, f64>,
    /// Counts that may not grow.
    pub at_most: BTreeMap<String, usize>,
}

impl Bounds {
    fn of(measures: &BTreeMap<&'static str, Measured>, at_most: BTreeMap<String, usize>) -> Self {
        let rounded = |value: f64| (value * 10_000.0).round() / 10_000.0;
        let measure = |(name, measured): (&&str, &Measured)| ((*name).to_owned(), rounded(measured.figure.mean));
        Self { at_least: measures.iter().map(measure).collect(), at_most }
    }

    /// Where these figures are worse than `before`, in words that begin with `whose`.
    fn worse_than(&self, before: &Self, whose: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (name, before) in &before.at_least {
            match self.at_least.get(name) {
                None => found.push(format!("{whose}: {name} was not measured")),
                Some(now) if now + TOLERANCE < *before => {
                    found.push(format!("{whose}: {name} fell from {before:.4} to {now:.4}"));
                }
                Some(_) => {}
            }
        }
        for (name, before) in &before.at_most {
            let now = self.at_most.get(name).copied().unwrap_or_default();
            if now > *before {
                found.push(format!("{whose}: {name} grew from {before} to {now}"));
            }
        }
        found
    }
}

impl AnswersReport {
    /// Sums up.
    pub fn new(dataset: &str, model: &str, questions: Vec<Graded>) -> Self {
        let those =
            |wanted: &dyn Fn(&Graded) -> bool| part(&questions.iter().filter(|one| wanted(one)).collect::<Vec<_>>());
        Self {
            dataset: dataset.to_owned(),
            model: model.to_owned(),
            judge: None,
            all: those(&|_| true),
            tuning: those(&|one| one.half == Half::Tuning),
            held_out: those(&|one| one.half == Half::HeldOut),
            questions,
        }
    }

    /// The same with who judged, if anybody did.
    #[must_use]
    pub fn judged(self, judge: Option<JudgeReport>) -> Self {
        Self { judge, ..self }
    }

    /// What the baseline keeps of this run. What it knew of other judges stays.
    pub fn baseline(&self, known: Option<&AnswersBaseline>) -> AnswersBaseline {
        let mut judged = known.map(|known| known.judged.clone()).unwrap_or_default();
        judged.extend(self.judge.as_ref().map(|judge| (judge.by.model.clone(), self.all.judged_bounds())));
        AnswersBaseline { bounds: Bounds::of(&self.all.measures, self.all.faults()), judged }
    }

    /// Where this run is worse than the baseline, in words. A judge is held against itself, where the baseline knows it.
    pub fn regressions(&self, baseline: &AnswersBaseline) -> Vec<String> {
        let mut found = self.baseline(None).bounds.worse_than(&baseline.bounds, &self.dataset);
        let judge = self.judge.as_ref().map(|judge| &judge.by.model);
        if let Some((judge, before)) = judge.and_then(|judge| Some((judge, baseline.judged.get(judge)?))) {
            let whose = format!("{}, judged by {judge}", self.dataset);
            found.extend(self.all.judged_bounds().worse_than(before, &whose));
        }
        found
    }
}

impl Part {
    /// A judge's measures, and how many it did not judge.
    fn judged_bounds(&self) -> Bounds {
        let not_judged = self.not_judged.iter().map(|(name, count)| (format!("{name} not judged"), *count));
        let mut at_most: BTreeMap<String, usize> =
            MEASURES.iter().map(|name| (format!("{name} not judged"), 0)).collect();
        at_most.extend(not_judged);
        Bounds::of(&self.judged, at_most)
    }

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
        measured(&values).map(|measured| (name, measured))
    });
    let mut marks: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for (name, mark) in questions.iter().flat_map(|one| &one.marks) {
        marks.entry(name).or_default().push(*mark);
    }
    let marks = marks.into_iter().filter_map(|(name, values)| Some((name.clone(), measured(&values)?)));
    let judged = || questions.iter().filter_map(|one| one.judged.as_ref());
    let by_judge = MEASURES.into_iter().filter_map(|name| {
        let values: Vec<f64> = judged().filter_map(|one| one.measures.get(name).copied()).collect();
        measured(&values).map(|measured| (name, measured))
    });
    let not_judged = MEASURES.into_iter().filter_map(|name| {
        let number = judged().filter(|one| one.not_judged.contains_key(name)).count();
        (number > 0).then_some((name, number))
    });
    Part {
        tallies,
        citations: questions.iter().map(|one| one.citations).sum(),
        invalid_citations: questions.iter().map(|one| one.invalid_citations).sum(),
        forbidden: questions.iter().filter(|one| !one.said_forbidden.is_empty()).count(),
        forbidding: questions.iter().filter(|one| one.forbids).count(),
        measures: measures.collect(),
        marks: marks.collect(),
        judged: by_judge.collect(),
        not_judged: not_judged.collect(),
    }
}

/// The mean of values with its interval; none of no values.
fn measured(values: &[f64]) -> Option<Measured> {
    (!values.is_empty()).then(|| Measured { questions: values.len(), figure: figure(values) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "what was written is read again")]
    use super::*;
    use crate::application::evaluation::judge_report::JudgedBy;
    use crate::application::evaluation::judged_answers::JudgedAnswer;
    use crate::application::evaluation::model_judge::{NotJudged, Spent, Why};
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
            judged: None,
        }
    }

    #[test]
    fn a_fall_and_a_new_fault_are_named_and_an_equal_run_is_not() {
        let good = vec![
            graded(Kind::Answerable, Verdict::Supported, Some(1.0)),
            graded(Kind::Unanswerable, Verdict::NotFound, None),
        ];
        let before = AnswersReport::new("set", "model", good).baseline(None);
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
        assert!(report.regressions(&report.baseline(None)).is_empty());
        assert_eq!(report.held_out.tallies.len(), 0);
        assert_eq!(report.tuning.tallies[&Kind::Answerable], Tally { questions: 1, answered: 0 });
    }

    fn judged_by(model: &str, faithfulness: Option<f64>) -> AnswersReport {
        let mut one = graded(Kind::Answerable, Verdict::Supported, Some(1.0));
        let not = NotJudged { why: Why::Unreadable, detail: String::new() };
        let mut judged = JudgedAnswer::default();
        match faithfulness {
            Some(value) => judged.measures.extend([("faithfulness", value)]),
            None => judged.not_judged.extend([("faithfulness", not)]),
        }
        one.judged = Some(judged);
        let by = JudgedBy {
            provider: "compatible".to_owned(),
            model: model.to_owned(),
            answered_too: false,
            at_temperature_zero: true,
            spent: Spent::default(),
        };
        let judge = JudgeReport::new(by, std::slice::from_ref(&one));
        AnswersReport::new("set", "model", vec![one]).judged(Some(judge))
    }

    #[test]
    fn a_judge_is_held_against_itself_and_against_nobody_else() {
        let unjudged =
            AnswersReport::new("set", "model", vec![graded(Kind::Answerable, Verdict::Supported, Some(1.0))]);
        let first = judged_by("one", Some(0.75));
        let known = first.baseline(Some(&unjudged.baseline(None)));
        assert!(judged_by("one", Some(0.75)).regressions(&known).is_empty());
        assert_eq!(
            judged_by("one", Some(0.5)).regressions(&known),
            ["set, judged by one: faithfulness fell from 0.7500 to 0.5000"]
        );
        assert!(judged_by("other", Some(0.1)).regressions(&known).is_empty(), "another judge has another measure");
        assert!(unjudged.regressions(&known).is_empty(), "nobody was asked to judge");
        let lost = judged_by("one", None).regressions(&known);
        assert_eq!(lost.len(), 2, "neither 0 nor 1, but missing: {lost:?}");
        assert!(lost[0].contains("not measured") && lost[1].contains("not judged grew from 0 to 1"), "{lost:?}");
        let both = judged_by("other", Some(0.5)).baseline(Some(&known));
        assert_eq!(both.judged.keys().collect::<Vec<_>>(), ["one", "other"]);
        assert_eq!(unjudged.baseline(Some(&both)).judged, both.judged, "a run without a judge forgets none");
    }

    #[test]
    fn a_baseline_without_judges_is_read_and_written_as_before() -> Result<(), serde_json::Error> {
        let text = r#"{"at_least":{"faithfulness":1.0},"at_most":{"forbidden said":0}}"#;
        let read: AnswersBaseline = serde_json::from_str(text)?;
        assert_eq!((read.bounds.at_least["faithfulness"], read.judged.len()), (1.0, 0));
        assert_eq!(serde_json::to_string(&read)?, text);
        Ok(())
    }
}
