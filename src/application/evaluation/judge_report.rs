//! Who judged, what it took, what it did not judge, and how far it agrees with the grader that goes by words.

use std::collections::BTreeMap;

use docket_domain::answer::verdicts::{Agreement, correlation};
use docket_domain::retrieval::statistics::mean;
use serde::Serialize;

use super::answers::Graded;
use super::judged_answers::{JudgedAnswer, JudgedText, MEASURES};
use super::model_judge::{Spent, Why};

/// How far words and judge agree on one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeasureAgreement {
    /// Questions for which both have a figure.
    pub questions: usize,
    /// The mean by words over these.
    pub words: f64,
    /// The mean by the judge over these.
    pub judge: f64,
    /// Pearson's correlation of the figures; none where one side does not vary.
    pub correlation: Option<f64>,
    /// Statements, sentences or passages that both judged.
    pub verdicts: usize,
    /// The share of equal verdicts on them.
    pub equal: Option<f64>,
    /// Cohen's kappa of them.
    pub kappa: Option<f64>,
    /// Those that hold by words and not by the judge.
    pub only_words: usize,
    /// Those that hold by the judge and not by words.
    pub only_judge: usize,
}

/// Who judged, and what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgedBy {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Whether it was one of those that answered: models think well of their own words.
    pub answered_too: bool,
    /// Whether every call was at temperature 0.
    pub at_temperature_zero: bool,
    /// What it took.
    pub spent: Spent,
}

/// A judge's part of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeReport {
    /// Who judged.
    #[serde(flatten)]
    pub by: JudgedBy,
    /// Measures of single answers that it judged.
    pub judged: usize,
    /// Those that it did not judge, by reason.
    pub not_judged: BTreeMap<Why, usize>,
    /// What was wrong with the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_not_judged: Option<String>,
    /// By measure.
    pub agreement: BTreeMap<&'static str, MeasureAgreement>,
}

impl JudgeReport {
    /// Sums up what the judge said of these answers.
    pub fn new(by: JudgedBy, questions: &[Graded]) -> Self {
        let judged: Vec<&JudgedAnswer> = questions.iter().filter_map(|one| one.judged.as_ref()).collect();
        let mut not_judged = BTreeMap::new();
        for reason in judged.iter().flat_map(|one| one.not_judged.values()) {
            *not_judged.entry(reason.why).or_default() += 1;
        }
        let first = judged.iter().flat_map(|one| one.not_judged.values()).next();
        let agreement = MEASURES.into_iter().filter_map(|name| Some((name, agreement(name, questions)?)));
        Self {
            by,
            judged: judged.iter().map(|one| one.measures.len()).sum(),
            not_judged,
            first_not_judged: first.map(ToString::to_string),
            agreement: agreement.collect(),
        }
    }

    /// What was wrong, when not one reply could be read though something was asked.
    pub fn judged_nothing(&self) -> Option<&str> {
        self.first_not_judged.as_deref().filter(|_| self.by.spent.read == 0)
    }
}

fn agreement(name: &str, questions: &[Graded]) -> Option<MeasureAgreement> {
    let by_words = |one: &Graded| match name {
        // What says that it does not know is 0 by both without being asked, which is no agreement.
        "answer relevancy" => one.relevancy.filter(|_| one.answered()),
        "context precision" => one.context_precision,
        "context recall" => one.context_recall,
        _ => one.faithfulness,
    };
    let pair = |one: &Graded| Some((by_words(one)?, *one.judged.as_ref()?.measures.get(name)?));
    let figures: Vec<(f64, f64)> = questions.iter().filter_map(pair).collect();
    let texts = |one: &JudgedAnswer| -> Vec<JudgedText> {
        match name {
            "answer relevancy" => Vec::new(),
            "context precision" => one.passages.clone(),
            "context recall" => one.sentences.clone(),
            _ => one.statements.clone(),
        }
    };
    let texts = questions.iter().filter_map(|one| one.judged.as_ref()).flat_map(texts);
    let verdicts = Agreement::of(texts.filter_map(|text| Some((text.words?, text.judge))));
    let (words, judge): (Vec<f64>, Vec<f64>) = figures.iter().copied().unzip();
    (!figures.is_empty()).then(|| MeasureAgreement {
        questions: figures.len(),
        words: mean(&words),
        judge: mean(&judge),
        correlation: correlation(&figures),
        verdicts: verdicts.judged(),
        equal: verdicts.equal_share(),
        kappa: verdicts.kappa(),
        only_words: verdicts.only_first,
        only_judge: verdicts.only_second,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application::evaluation::gold::{Half, Kind};
    use crate::application::evaluation::model_judge::NotJudged;
    use crate::application::knowledge::answer::Verdict;

    /// An answer with its faithfulness by words and by the judge, and the pairs of verdicts on its statements.
    fn graded(verdict: Verdict, words: f64, judge: Option<f64>, pairs: &[(bool, bool)]) -> Graded {
        let text = |(words, judge): &(bool, bool)| JudgedText {
            text: String::new(),
            judge: *judge,
            reason: String::new(),
            words: Some(*words),
        };
        let mut judged = JudgedAnswer { statements: pairs.iter().map(text).collect(), ..JudgedAnswer::default() };
        if let Some(value) = judge {
            judged.measures.extend([("faithfulness", value), ("answer relevancy", value)]);
        } else {
            let not = NotJudged { why: Why::RateLimited, detail: "later".to_owned() };
            judged.not_judged.extend([("faithfulness", not)]);
        }
        Graded {
            id: "one".to_owned(),
            kind: Kind::Answerable,
            half: Half::Tuning,
            question: String::new(),
            answer: String::new(),
            verdict,
            citations: 0,
            invalid_citations: 0,
            forbids: false,
            said_forbidden: Vec::new(),
            cites_support: None,
            recall: None,
            context_precision: None,
            context_recall: None,
            faithfulness: Some(words),
            relevancy: Some(words),
            token_f1: None,
            similarity: None,
            marks: BTreeMap::new(),
            judged: Some(judged),
        }
    }

    fn report(questions: &[Graded]) -> JudgeReport {
        let (provider, model) = ("compatible".to_owned(), "m".to_owned());
        let by = JudgedBy { provider, model, answered_too: false, at_temperature_zero: true, spent: Spent::default() };
        JudgeReport::new(by, questions)
    }

    #[test]
    fn agreement_is_counted_over_what_both_judged() {
        let (yes, no) = (Verdict::Supported, Verdict::NotFound);
        let report = report(&[
            graded(yes, 1.0, Some(0.5), &[(true, true), (true, false)]),
            graded(yes, 0.0, Some(0.0), &[(false, false)]),
            graded(no, 0.0, Some(0.0), &[]),
            graded(yes, 1.0, None, &[]),
        ]);
        let faithfulness = report.agreement["faithfulness"];
        assert_eq!((faithfulness.questions, faithfulness.verdicts), (3, 3));
        assert_eq!((faithfulness.only_words, faithfulness.only_judge), (1, 0));
        assert!(faithfulness.equal.is_some_and(|equal| (equal - 2.0 / 3.0).abs() < 1e-9));
        // Words say yes 2 of 3 times, the judge 1 of 3: by chance 2/9 + 2/9, so (2/3 - 4/9) / (5/9).
        assert!(faithfulness.kappa.is_some_and(|kappa| (kappa - 0.4).abs() < 1e-9));
        assert!(faithfulness.correlation.is_some_and(|figure| (figure - 1.0).abs() < 1e-9));
        let relevancy = report.agreement["answer relevancy"];
        assert_eq!((relevancy.questions, relevancy.verdicts), (2, 0), "a refusal is 0 by both without being asked");
        assert!(!report.agreement.contains_key("context recall"));
        assert_eq!(report.not_judged, BTreeMap::from([(Why::RateLimited, 1)]));
        assert_eq!((report.judged, report.judged_nothing()), (6, Some("rate limited: later")), "no reply was read");
    }
}
