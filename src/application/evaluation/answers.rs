//! Asking a gold set through the whole way that answers take, and grading what comes.

use std::collections::{BTreeMap, HashMap};

use docket_domain::answer::grading::{attributed_share, context_precision, holds, token_f1};
use docket_domain::answer::sentences;
use docket_domain::document::Document;
use docket_domain::document::visibility::may_see;
use docket_domain::idempotency::{Fingerprint, IdempotencyKey};
use docket_domain::ids::{DocumentId, PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles};
use docket_domain::retrieval::late_interaction::dot;
use serde::Serialize;
use uuid::Uuid;

use super::gold::{GoldQuestion, Half, Kind};
use super::judged_answers::{JudgedAnswer, Material};
use super::plugin_grader::{GraderError, PluginGrader};
use crate::application::error::UseCaseError;
use crate::application::knowledge::answer::{Answer, AnswerEvent, Verdict};
use crate::application::knowledge::answer_question::{Answered, Question, answer_question, grounding};
use crate::application::knowledge::answering::Answering;
use crate::application::knowledge::library::Library;
use crate::application::knowledge::passages::{FoundPassage, PassageQuery};
use crate::application::ports::StoreError;
use crate::application::ports::embedder::{Embedder, EmbedderError, Urgency};
use crate::application::request::{Caller, Claim};

/// Passages among which the supporting ones should stand.
pub const RECALL_AT: usize = 5;

/// Why an evaluation of answers stopped.
#[derive(Debug, thiserror::Error)]
pub enum AnswersError {
    /// A question could not be answered.
    #[error("{0}: {1}")]
    Question(String, #[source] UseCaseError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model that compares meanings.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
    /// The plugin that grades.
    #[error(transparent)]
    Grader(#[from] GraderError),
    /// The model that judges could not be asked; not that it gave no verdict.
    #[error("the judge cannot be asked: {0}")]
    Judge(#[source] UseCaseError),
}

/// One question with what came of it. Shares are from 0 to 1, and absent where they mean nothing.
#[derive(Debug, Clone, Serialize)]
pub struct Graded {
    /// The question's id.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its half.
    pub half: Half,
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// How far it is backed.
    pub verdict: Verdict,
    /// Citations.
    pub citations: usize,
    /// Citations whose quote does not stand where they say, or in a document that the asker may not see.
    pub invalid_citations: usize,
    /// Whether there is something that no answer to it may say.
    pub forbids: bool,
    /// What it says of that.
    pub said_forbidden: Vec<String>,
    /// Whether a citation quotes a supporting passage, where there is one and something was answered.
    pub cites_support: Option<bool>,
    /// Share of the supporting passages among the first [`RECALL_AT`].
    pub recall: Option<f64>,
    /// ragas' context precision of the passages that the model got.
    pub context_precision: Option<f64>,
    /// ragas' context recall: the share of the reference's sentences that the passages hold.
    pub context_recall: Option<f64>,
    /// ragas' faithfulness: the share of the answer's sentences that the passages hold.
    pub faithfulness: Option<f64>,
    /// Likeness of question and answer by meaning; 0 when it says that it does not know.
    pub relevancy: Option<f64>,
    /// Likeness of answer and reference by words.
    pub token_f1: Option<f64>,
    /// Likeness of answer and reference by meaning.
    pub similarity: Option<f64>,
    /// What a plugin gave, by the names of its marks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, f64>,
    /// What a model says that judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged: Option<JudgedAnswer>,
}

impl Graded {
    /// Whether it says anything but that it does not know.
    pub fn answered(&self) -> bool {
        self.verdict != Verdict::NotFound
    }
}

/// The parts of an evaluation of answers.
pub struct AnswerEvaluation<'a> {
    /// Answers.
    pub answering: &'a Answering,
    /// The documents that were brought.
    pub library: &'a Library,
    /// Compares meanings; where it is not installed those measures are left out.
    pub embedder: &'a dyn Embedder,
    /// Grades answers, too, where one is wanted.
    pub grader: Option<&'a PluginGrader>,
    /// Whose documents are asked.
    pub tenant: TenantId,
}

impl AnswerEvaluation<'_> {
    /// Asks and grades every question, one after the other, and says what a judge needs to know of each; calls `done` after
    /// each.
    pub async fn run(
        &self,
        questions: &[GoldQuestion],
        done: &mut (dyn FnMut() + Send),
    ) -> Result<(Vec<Graded>, Vec<Material>), AnswersError> {
        let (mut graded, mut materials) = (Vec::with_capacity(questions.len()), Vec::with_capacity(questions.len()));
        for question in questions {
            let failed = |error| AnswersError::Question(question.id.clone(), error);
            let caller = caller(self.tenant, question.role);
            let limit = self.answering.rules.passages.max(RECALL_AT);
            let (question_text, rerank) = (question.question.clone(), self.answering.rules.rerank);
            let query = PassageQuery { question: question_text, collection: None, limit, rerank };
            let passages = self.answering.passages.find(&caller, &query).await.map_err(failed)?;
            let answer = self.ask(&caller, question).await.map_err(failed)?;
            let (one, material) = self.grade(&caller, question, &passages, &answer).await?;
            graded.push(one);
            materials.push(material);
            done();
        }
        Ok((graded, materials))
    }

    async fn ask(&self, caller: &Caller, question: &GoldQuestion) -> Result<Answer, UseCaseError> {
        let id = self.answering.clock.new_id();
        let key = IdempotencyKey::parse(format!("evaluation-{id}").as_bytes());
        let key = key.map_err(|error| UseCaseError::Store(StoreError::internal(error)))?;
        let claim = Claim { key, fingerprint: Fingerprint([0; 32]) };
        let asked = Question { text: question.question.clone(), collection: None };
        let cut = || UseCaseError::Store(StoreError::internal("the answer ended without an end"));
        let Answered::Events(mut events) =
            answer_question(self.answering, caller.clone(), Some(&claim), Ok(asked)).await?
        else {
            return Err(cut());
        };
        while let Some(event) = events.recv().await {
            if let AnswerEvent::Done(answer) = event? {
                return Ok(*answer);
            }
        }
        Err(cut())
    }

    async fn grade(
        &self,
        caller: &Caller,
        question: &GoldQuestion,
        passages: &[FoundPassage],
        answer: &Answer,
    ) -> Result<(Graded, Material), AnswersError> {
        let documents = self.documents(passages, answer).await?;
        let name = |id: Uuid| documents.get(&id).map_or("", |document| document.source.as_str());
        let answered = answer.verdict != Verdict::NotFound;
        let held = |passage: &FoundPassage, support: &super::gold::Support| {
            support.is_held_by(name(passage.document_id), &passage.text)
        };
        let first = &passages[..passages.len().min(RECALL_AT)];
        let found = question.supports.iter().filter(|support| first.iter().any(|passage| held(passage, support)));
        let found = found.count();
        let given = &passages[..passages.len().min(self.answering.rules.passages)];
        let relevant: Vec<bool> =
            given.iter().map(|passage| question.supports.iter().any(|support| held(passage, support))).collect();
        let contexts: Vec<&str> = given.iter().map(|passage| passage.text.as_str()).collect();
        let claims = |text: &str| sentences(text).into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>();
        let attributed = |text: &str| {
            let claims = claims(text);
            attributed_share(&claims.iter().map(String::as_str).collect::<Vec<_>>(), &contexts)
        };
        let answerable = question.kind == Kind::Answerable;
        let supported = !question.supports.is_empty();
        let quotes_support = |support: &super::gold::Support| {
            answer.citations.iter().any(|citation| {
                let document = name(citation.document_id);
                // The gold quote may be longer than the sentence that is cited, or shorter.
                support.is_held_by(document, &citation.quote)
                    || std::iter::once(&support.first)
                        .chain(&support.alternatives)
                        .any(|quote| quote.document == document && holds(&quote.quote, &citation.quote))
            })
        };
        let marks = match self.grader {
            Some(grader) if answered => grader.grade(&question.question, &answer.answer, &contexts).await?,
            _ => BTreeMap::new(),
        };
        let meanings = self.meanings(question, answer, answered).await?;
        let said = |text: &&String| says(answer, text);
        let graded = Graded {
            id: question.id.clone(),
            kind: question.kind,
            half: question.half(),
            question: question.question.clone(),
            answer: answer.answer.clone(),
            verdict: answer.verdict,
            citations: answer.citations.len(),
            invalid_citations: self.invalid_citations(caller, answer, &documents).await?,
            forbids: !question.forbidden.is_empty(),
            said_forbidden: question.forbidden.iter().filter(said).cloned().collect(),
            cites_support: (answerable && answered).then(|| question.supports.iter().any(quotes_support)),
            recall: (answerable && supported).then(|| ratio(found, question.supports.len())),
            context_precision: (answerable && supported).then(|| context_precision(&relevant)),
            context_recall: if answerable { attributed(&question.reference_answer) } else { None },
            faithfulness: if answered { attributed(&answer.answer) } else { None },
            relevancy: meanings.map(|(relevancy, _)| relevancy).filter(|_| answerable),
            token_f1: answerable
                .then(|| if answered { token_f1(&answer.answer, &question.reference_answer) } else { 0.0 }),
            similarity: meanings.map(|(_, similarity)| similarity).filter(|_| answerable),
            marks,
            judged: None,
        };
        let material = Material {
            question: question.question.clone(),
            answer: answered.then(|| answer.answer.clone()),
            reference: answerable.then(|| question.reference_answer.clone()),
            passages: grounding(given),
            supporting: if supported { relevant } else { Vec::new() },
        };
        Ok((graded, material))
    }

    /// The documents that passages and citations come from.
    async fn documents(
        &self,
        passages: &[FoundPassage],
        answer: &Answer,
    ) -> Result<HashMap<Uuid, Document>, StoreError> {
        let mut documents = HashMap::new();
        let cited = answer.citations.iter().map(|citation| citation.document_id);
        for id in passages.iter().map(|passage| passage.document_id).chain(cited) {
            if !documents.contains_key(&id)
                && let Some(document) = self.library.documents.get(self.tenant, DocumentId(id)).await?
            {
                documents.insert(id, document);
            }
        }
        Ok(documents)
    }

    /// Looks every citation up in the text of its document, independently of what checked it before it was shown.
    async fn invalid_citations(
        &self,
        caller: &Caller,
        answer: &Answer,
        documents: &HashMap<Uuid, Document>,
    ) -> Result<usize, StoreError> {
        let mut invalid = 0;
        for citation in &answer.citations {
            let visible = documents.get(&citation.document_id).is_some_and(|document| may_see(&caller.actor, document));
            let text = self.library.documents.text(self.tenant, DocumentId(citation.document_id)).await?;
            let (start, end) = (citation.char_start as usize, citation.char_end as usize);
            let stands = text.is_some_and(|text| {
                end > start && text.text.chars().skip(start).take(end - start).eq(citation.quote.chars())
            });
            invalid += usize::from(!(visible && stands));
        }
        Ok(invalid)
    }

    /// Likeness of the answer to the question and to the reference; none without the model. What says that it does not know
    /// is like neither.
    async fn meanings(
        &self,
        question: &GoldQuestion,
        answer: &Answer,
        answered: bool,
    ) -> Result<Option<(f64, f64)>, EmbedderError> {
        let texts = [question.question.clone(), answer.answer.clone(), question.reference_answer.clone()];
        let vectors = match self.embedder.embed(&texts, Urgency::Bulk).await {
            Ok(vectors) => vectors,
            Err(EmbedderError::NotInstalled(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let [asked, answer, reference] = vectors.as_slice() else { return Ok(None) };
        let like = |other: &[f32]| if answered { f64::from(dot(answer, other)).max(0.0) } else { 0.0 };
        Ok(Some((like(asked), like(reference))))
    }
}

/// Whether the text or a quote of an answer holds these words, whatever their case.
fn says(answer: &Answer, words: &str) -> bool {
    let words = words.to_lowercase();
    let quotes = answer.citations.iter().map(|citation| &citation.quote);
    std::iter::once(&answer.answer).chain(quotes).any(|text| text.to_lowercase().contains(&words))
}

/// Somebody with this role, who brought none of the documents.
pub fn caller(tenant: TenantId, role: Role) -> Caller {
    let actor = Actor {
        principal_id: PrincipalId(Uuid::from_u128(1)),
        kind: PrincipalKind::User,
        roles: Roles::of(&[role]),
        ..Actor::system(tenant)
    };
    Caller { actor, request_id: "evaluation".to_owned(), trace_id: String::new(), traceparent: None }
}

#[allow(clippy::cast_precision_loss, reason = "passages are counted in tens")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}
