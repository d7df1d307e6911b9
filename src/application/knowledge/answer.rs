//! An answer as it is sent and kept, and the events by which it is streamed.

use docket_domain::answer::{Checked, check};
use docket_domain::budget::Usage;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::passages::FoundPassage;

/// What a model says, and docket itself, when the documents do not answer: exactly this.
pub const NOT_FOUND: &str = "The documents do not answer this question.";

docket_domain::named_enum! {
    /// How far an answer is backed by what it cites.
    Verdict, "verdict" {
        /// Every sentence is supported by a passage that it cites.
        Supported = "supported",
        /// Some sentences are.
        PartlySupported = "partly_supported",
        /// None is.
        Unsupported = "unsupported",
        /// The documents do not answer the question.
        NotFound = "not_found",
    }
}

/// A sentence of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerSentence {
    /// Without markers.
    pub text: String,
    /// Whether a cited passage supports it.
    pub supported: bool,
    /// Numbers of its citations, from 1.
    pub citations: Vec<usize>,
}

/// A citation that was checked: the quote stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerCitation {
    /// Its number, from 1.
    pub number: usize,
    /// The document.
    pub document_id: Uuid,
    /// Its title.
    pub title: String,
    /// The headings above the quote, outermost first.
    pub headings: Vec<String>,
    /// The chunk.
    pub chunk_id: Uuid,
    /// The pages the passage stands on, from 1; absent in formats without pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_from: Option<u32>,
    /// The last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_to: Option<u32>,
    /// Where the quote begins in the document's extracted text, in code points.
    pub char_start: u32,
    /// Where it ends, excluded.
    pub char_end: u32,
    /// The quote.
    pub quote: String,
}

/// Which model answered, and what it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerModel {
    /// The provider.
    pub provider: String,
    /// The model.
    pub name: String,
    /// Requests that were sent, failed ones included.
    pub attempts: u16,
}

/// Tokens and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AnswerUsage {
    /// Tokens.
    #[serde(flatten)]
    pub tokens: Usage,
    /// Nano-dollars.
    pub cost_nanos: u64,
    /// Whether docket counted because the provider did not say.
    pub estimated: bool,
}

/// How long the stages took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StageTimes {
    /// Finding passages.
    pub retrieve_ms: u32,
    /// From asking the model to its first text.
    pub first_token_ms: u32,
    /// From asking the model to its end.
    pub model_ms: u32,
    /// Everything.
    pub total_ms: u32,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its id.
    pub id: Uuid,
    /// The question.
    pub question: String,
    /// The text without markers.
    pub answer: String,
    /// How far it is backed.
    pub verdict: Verdict,
    /// Its sentences.
    pub sentences: Vec<AnswerSentence>,
    /// Its citations.
    pub citations: Vec<AnswerCitation>,
    /// The model; absent when none was asked because nothing was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<AnswerModel>,
    /// What it took.
    pub usage: AnswerUsage,
    /// How long.
    pub stages: StageTimes,
    /// When it was asked.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// What was made of a model's text after checking it against the passages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedText {
    /// Without markers.
    pub answer: String,
    /// How far it is backed.
    pub verdict: Verdict,
    /// Its sentences.
    pub sentences: Vec<AnswerSentence>,
    /// Its citations.
    pub citations: Vec<AnswerCitation>,
}

impl CheckedText {
    /// The answer that there is none.
    pub fn not_found() -> Self {
        Self { answer: NOT_FOUND.to_owned(), verdict: Verdict::NotFound, sentences: Vec::new(), citations: Vec::new() }
    }

    /// Checks what a model wrote. Every citation that is left was found in `passages`, word for word.
    pub fn of(text: &str, passages: &[FoundPassage]) -> Self {
        if text.trim().trim_matches('"').starts_with(NOT_FOUND) || text.trim().is_empty() {
            return Self::not_found();
        }
        let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
        let Checked { sentences, citations, .. } = check(text, &texts);
        let citations: Vec<AnswerCitation> = citations
            .into_iter()
            .enumerate()
            .map(|(index, citation)| cite(index + 1, &passages[citation.passage], citation.quote))
            .collect();
        let sentences: Vec<AnswerSentence> = sentences
            .into_iter()
            .map(|sentence| AnswerSentence {
                text: sentence.text,
                supported: sentence.supported,
                citations: sentence.citations.iter().map(|index| index + 1).collect(),
            })
            .collect();
        let supported = sentences.iter().filter(|sentence| sentence.supported).count();
        let verdict = match supported {
            0 => Verdict::Unsupported,
            all if all == sentences.len() && !citations.is_empty() => Verdict::Supported,
            _ if citations.is_empty() => Verdict::Unsupported,
            _ => Verdict::PartlySupported,
        };
        let answer = sentences.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>().join(" ");
        Self { answer, verdict, sentences, citations }
    }
}

fn cite(number: usize, passage: &FoundPassage, quote: std::ops::Range<usize>) -> AnswerCitation {
    let points = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let char_start = passage.char_start + points(&passage.text[..quote.start]);
    let quote = &passage.text[quote];
    AnswerCitation {
        number,
        document_id: passage.document_id,
        title: passage.title.clone(),
        headings: passage.headings.clone(),
        chunk_id: passage.chunk_id,
        page_from: passage.page_from,
        page_to: passage.page_to,
        char_start,
        char_end: char_start + points(quote),
        quote: quote.to_owned(),
    }
}

/// A step of an answer that is being made.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerEvent {
    /// Passages were found: how many, and how long it took in milliseconds.
    Retrieved {
        /// How many.
        passages: usize,
        /// Milliseconds.
        took_ms: u32,
    },
    /// The model accepted the question.
    Model(AnswerModel),
    /// More of the text, as the model writes it, markers included.
    Token(String),
    /// The end: everything that was checked, what it took, and how it is kept.
    Done(Box<Answer>),
}
