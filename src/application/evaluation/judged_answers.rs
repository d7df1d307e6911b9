//! Answers graded by a model that judges: ragas' four measures, each verdict beside that of the words.
//!
//! As ragas defines them (Es et al. 2023): faithfulness is the share of the statements that the judge finds in the answer which
//! the passages support; answer relevancy the mean likeness of the question with three that the judge makes of the answer, 0 if
//! it is noncommittal; context precision the mean of precision@k over the ranks of passages that are of use for the reference;
//! context recall the share of the reference's sentences that can be attributed to the passages.
//!
//! Each passage is shown alone when its use is judged, so that none speaks for another. What the measures need no judge for is
//! not asked: "the documents do not answer" is noncommittal, and without passages precision and recall are 0 by definition.

use std::collections::BTreeMap;

use docket_domain::answer::grading::{attributed, context_precision};
use docket_domain::answer::sentences;
use docket_domain::answer::verdicts::{held_share, relevancy};
use docket_domain::retrieval::late_interaction::dot;
use futures::{StreamExt, stream};
use serde::Serialize;

use super::answers::AnswersError;
use super::judge_prompts::Task;
use super::judge_replies::{self, Verdict};
use super::model_judge::{Judge, JudgeError, NotJudged};
use crate::application::ports::embedder::{Embedder, EmbedderError, Urgency};
use crate::application::ports::language_model::GroundingPassage;

/// The measures that a judge gives, under the names that they have everywhere.
pub const MEASURES: [&str; 4] = [RELEVANCY, PRECISION, RECALL, FAITHFULNESS];
const RELEVANCY: &str = "answer relevancy";
const PRECISION: &str = "context precision";
const RECALL: &str = "context recall";
const FAITHFULNESS: &str = "faithfulness";

/// What a judge needs to know of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// The question.
    pub question: String,
    /// The answer; none where it is that there is none.
    pub answer: Option<String>,
    /// A right answer; none where the documents have none.
    pub reference: Option<String>,
    /// The passages that the model got, as it got them.
    pub passages: Vec<GroundingPassage>,
    /// Of each whether it holds a supporting passage, word for word; empty where none is known.
    pub supporting: Vec<bool>,
}

/// A text with what the judge says of it, and what its words say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JudgedText {
    /// The text.
    pub text: String,
    /// The judge's verdict.
    pub judge: bool,
    /// The judge's reason.
    pub reason: String,
    /// The verdict of the grader that goes by words, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words: Option<bool>,
}

/// What the judge says of an answer. A measure that is absent means nothing for this question, unless it stands in `not_judged`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct JudgedAnswer {
    /// Measures by name, from 0 to 1.
    pub measures: BTreeMap<&'static str, f64>,
    /// Measures that could not be judged, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub not_judged: BTreeMap<&'static str, NotJudged>,
    /// The answer's statements: whether the passages support them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<JudgedText>,
    /// Questions that the answer would answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
    /// The passages, by number: whether they are of use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<JudgedText>,
    /// The reference's sentences: whether the passages have them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sentences: Vec<JudgedText>,
}

/// Has every answer judged, so many at once; calls `done` after each. The order stays.
pub async fn judge_answers(
    judge: &Judge,
    embedder: &dyn Embedder,
    materials: &[Material],
    at_once: usize,
    done: &mut (dyn FnMut() + Send),
) -> Result<Vec<JudgedAnswer>, AnswersError> {
    let judging = Judging { judge, embedder };
    let mut under_way = stream::iter(materials.iter().map(|material| judging.answer(material))).buffered(at_once);
    let mut judged = Vec::with_capacity(materials.len());
    while let Some(one) = under_way.next().await {
        judged.push(one?);
        done();
    }
    Ok(judged)
}

struct Judging<'a> {
    judge: &'a Judge,
    embedder: &'a dyn Embedder,
}

impl Judging<'_> {
    async fn answer(&self, material: &Material) -> Result<JudgedAnswer, AnswersError> {
        let mut judged = JudgedAnswer::default();
        if let Some(answer) = &material.answer {
            let faithfulness = self.faithfulness(material, answer, &mut judged).await;
            judged.take(FAITHFULNESS, faithfulness)?;
        }
        if let Some(reference) = &material.reference {
            let relevancy = self.relevancy(material, &mut judged).await;
            judged.take(RELEVANCY, relevancy)?;
            let precision = self.precision(material, reference, &mut judged).await;
            judged.take(PRECISION, precision)?;
            let recall = self.recall(material, reference, &mut judged).await;
            judged.take(RECALL, recall)?;
        }
        Ok(judged)
    }

    async fn faithfulness(&self, material: &Material, answer: &str, judged: &mut JudgedAnswer) -> Measured {
        let task = Task::Statements { question: &material.question, answer };
        let statements = self.judge.ask(task, judge_replies::statements).await?;
        let task = Task::Support { statements: &statements, passages: &material.passages };
        let verdicts = self.judge.ask(task, |reply| judge_replies::verdicts(reply, statements.len())).await?;
        judged.statements = beside_words(statements, verdicts, &material.passages);
        Ok(held_share(&holding(&judged.statements)))
    }

    async fn relevancy(&self, material: &Material, judged: &mut JudgedAnswer) -> Measured {
        // Without meanings there is no relevancy, also none of what says that it does not know.
        let Some(asked) = self.vectors(std::slice::from_ref(&material.question)).await? else { return Ok(None) };
        let Some(answer) = &material.answer else { return Ok(relevancy(&[], true)) };
        let made = self.judge.ask(Task::Questions { answer }, judge_replies::questions).await?;
        judged.questions = made.questions;
        if made.noncommittal {
            return Ok(relevancy(&[], true));
        }
        let vectors = self.vectors(&judged.questions).await?.unwrap_or_default();
        let likenesses: Vec<f64> = vectors.iter().map(|vector| f64::from(dot(&asked[0], vector))).collect();
        Ok(relevancy(&likenesses, false))
    }

    async fn precision(&self, material: &Material, reference: &str, judged: &mut JudgedAnswer) -> Measured {
        let mut verdicts = Vec::with_capacity(material.passages.len());
        for passage in &material.passages {
            let task = Task::Usefulness { question: &material.question, reference, passage };
            verdicts.extend(self.judge.ask(task, |reply| judge_replies::verdicts(reply, 1)).await?);
        }
        let texts = material.passages.iter().map(|passage| passage.text.clone());
        let supporting = material.supporting.iter().copied().map(Some).chain(std::iter::repeat(None));
        judged.passages =
            texts.zip(verdicts).zip(supporting).map(|((text, verdict), words)| text_of(text, verdict, words)).collect();
        Ok(Some(context_precision(&holding(&judged.passages))))
    }

    async fn recall(&self, material: &Material, reference: &str, judged: &mut JudgedAnswer) -> Measured {
        let sentences: Vec<String> =
            sentences(reference).into_iter().map(|range| reference[range].to_owned()).collect();
        if sentences.is_empty() || material.passages.is_empty() {
            return Ok(held_share(&vec![false; sentences.len()]));
        }
        let (question, passages) = (&material.question, &material.passages);
        let task = Task::Attribution { question, sentences: &sentences, passages };
        let verdicts = self.judge.ask(task, |reply| judge_replies::verdicts(reply, sentences.len())).await?;
        judged.sentences = beside_words(sentences, verdicts, passages);
        Ok(held_share(&holding(&judged.sentences)))
    }

    /// The meanings of texts; none where the model for them is not installed.
    async fn vectors(&self, texts: &[String]) -> Result<Option<Vec<Vec<f32>>>, Stopped> {
        match self.embedder.embed(texts, Urgency::Bulk).await {
            Ok(vectors) => Ok(Some(vectors)),
            Err(EmbedderError::NotInstalled(_)) => Ok(None),
            Err(error) => Err(Stopped::Embedder(error)),
        }
    }
}

/// A measure; none where it means nothing.
type Measured = Result<Option<f64>, Stopped>;

enum Stopped {
    Judge(JudgeError),
    Embedder(EmbedderError),
}

impl From<JudgeError> for Stopped {
    fn from(error: JudgeError) -> Self {
        Self::Judge(error)
    }
}

impl JudgedAnswer {
    /// Takes a measure, or why there is none; fails when nothing can be judged any more.
    fn take(&mut self, name: &'static str, measured: Measured) -> Result<(), AnswersError> {
        match measured {
            Ok(value) => self.measures.extend(value.map(|value| (name, value))),
            Err(Stopped::Judge(JudgeError::NotJudged(why))) => {
                self.not_judged.insert(name, why);
            }
            Err(Stopped::Judge(JudgeError::Fatal(error))) => return Err(AnswersError::Judge(error)),
            Err(Stopped::Embedder(error)) => return Err(error.into()),
        }
        Ok(())
    }
}

/// Verdicts on texts, each beside what the words of the passages say of it.
fn beside_words(texts: Vec<String>, verdicts: Vec<Verdict>, passages: &[GroundingPassage]) -> Vec<JudgedText> {
    let contexts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
    let judged = texts.into_iter().zip(verdicts).map(|(text, verdict)| {
        let words = attributed(&text, &contexts);
        text_of(text, verdict, Some(words))
    });
    judged.collect()
}

fn text_of(text: String, verdict: Verdict, words: Option<bool>) -> JudgedText {
    JudgedText { text, judge: verdict.holds, reason: verdict.reason, words }
}

fn holding(judged: &[JudgedText]) -> Vec<bool> {
    judged.iter().map(|text| text.judge).collect()
}
