//! What answers, judgments and usage look like on the wire.

use docket_domain::budget::Usage;
use serde::Serialize;
use serde_json::Value;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Form;
use crate::application::error::Invalid;
use crate::application::knowledge::answer_question::{QUESTION_MAX, Question};
use crate::application::knowledge::judge_answer::{COMMENT_MAX, Judgment};
use crate::application::ports::usage_ledger::{ModelUsage, Standing};

/// A question.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the request for OpenAPI")]
pub struct AskQuestion {
    /// In words, up to 4,000 characters.
    #[schema(min_length = 1, max_length = 4000)]
    question: String,
    /// Only look in the collection with this name.
    #[schema(max_length = 63)]
    collection: Option<String>,
}

/// Reads a question; every mistake with its pointer.
pub fn read_question(body: Value) -> Result<Question, Vec<Invalid>> {
    let mut form = Form::new(body);
    let text = form.required_prose("question", QUESTION_MAX);
    let collection = form.filled_line("collection", 63);
    form.finish("question, collection")?;
    Ok(Question { text: text.unwrap_or_default(), collection })
}

/// A sentence of an answer.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct AnswerSentenceBody {
    /// Without markers.
    text: String,
    /// Whether a cited passage supports it.
    supported: bool,
    /// Numbers of its citations, from 1.
    citations: Vec<u32>,
}

/// A citation that was checked before it was sent: the quote stands there.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct AnswerCitationBody {
    /// Its number, from 1.
    number: u32,
    /// The document.
    document_id: Uuid,
    /// Its title.
    title: String,
    /// The headings above the quote, outermost first.
    headings: Vec<String>,
    /// The passage.
    chunk_id: Uuid,
    /// The pages the passage stands on, from 1; absent in formats without pages.
    page_from: Option<u32>,
    /// The last of them.
    page_to: Option<u32>,
    /// Where the quote begins in the document's extracted text, in Unicode code points.
    char_start: u32,
    /// Where it ends, excluded.
    char_end: u32,
    /// The quote.
    quote: String,
}

/// Which model answered.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct AnswerModelBody {
    /// The provider.
    provider: String,
    /// The model.
    name: String,
    /// Requests that were sent, failed ones included.
    attempts: u16,
}

/// Tokens and cost.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct AnswerUsageBody {
    /// Input tokens read anew.
    input_tokens: u64,
    /// Input tokens that the provider had cached.
    cache_read_tokens: u64,
    /// Input tokens that the provider put into its cache.
    cache_write_tokens: u64,
    /// Output tokens.
    output_tokens: u64,
    /// Nano-dollars.
    cost_nanos: u64,
    /// Whether docket counted because the provider did not say.
    estimated: bool,
}

/// How long the stages took, in milliseconds.
#[derive(ToSchema)]
#[allow(
    dead_code,
    clippy::struct_field_names,
    reason = "documents the answer for OpenAPI; the unit is part of each name"
)]
pub struct AnswerStagesBody {
    /// Finding passages.
    retrieve_ms: u32,
    /// From asking the model to its first text.
    first_token_ms: u32,
    /// From asking the model to its end.
    model_ms: u32,
    /// Everything.
    total_ms: u32,
}

/// An answer with what supports it.
#[derive(ToSchema)]
#[schema(as = Answer)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct AnswerBody {
    /// Its id.
    id: Uuid,
    /// The question.
    question: String,
    /// The text, without markers.
    answer: String,
    /// How far it is backed: `supported`, `partly_supported`, `unsupported`, `not_found`.
    verdict: String,
    /// Its sentences.
    sentences: Vec<AnswerSentenceBody>,
    /// Its citations.
    citations: Vec<AnswerCitationBody>,
    /// The model; absent when none was asked because no passage was found.
    model: Option<AnswerModelBody>,
    /// What it took.
    usage: AnswerUsageBody,
    /// How long.
    stages: AnswerStagesBody,
    /// When it was asked.
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

/// What a reader thinks of an answer.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the request for OpenAPI")]
pub struct JudgeAnswer {
    /// 0 (also when absent) for the answer as a whole, else the number of a citation.
    #[schema(minimum = 0, maximum = 1000)]
    citation: Option<u16>,
    /// Whether it helped.
    helpful: bool,
    /// In words.
    #[schema(max_length = 2000)]
    comment: Option<String>,
}

/// Reads a judgment; every mistake with its pointer.
pub fn read_judgment(body: Value) -> Result<Judgment, Vec<Invalid>> {
    let mut form = Form::new(body);
    let citation = form.whole_number("citation", 0, 1_000).and_then(|number| u16::try_from(number).ok());
    if !form.has_value("helpful") {
        form.take("helpful");
        form.error("helpful", "must be true or false");
    }
    let helpful = form.boolean("helpful");
    let comment = form.prose("comment", COMMENT_MAX);
    form.finish("citation, helpful, comment")?;
    let comment = comment.filter(|text| !text.trim().is_empty());
    Ok(Judgment { citation: citation.unwrap_or_default(), helpful: helpful.unwrap_or_default(), comment })
}

/// A month's use of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageBody {
    /// The month (UTC), as the query names it.
    #[schema(example = "2026-11")]
    pub month: String,
    /// The tenant's limit, in nano-dollars.
    pub limit_nanos: u64,
    /// What was spent: the sum of the calls below.
    pub spent_nanos: u64,
    /// What is reserved for calls under way.
    pub reserved_nanos: u64,
    /// By model, dearest first.
    pub models: Vec<ModelUsageBody>,
}

/// What one model was used for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelUsageBody {
    /// The provider; empty when none answered.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Calls that ended.
    pub calls: u64,
    /// Tokens by kind.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub tokens: Usage,
    /// Nano-dollars.
    pub cost_nanos: u64,
}

impl UsageBody {
    /// The month as it is shown.
    pub fn new(month: Date, standing: Standing, models: Vec<ModelUsage>) -> Self {
        let models = models.into_iter().map(|one| ModelUsageBody {
            provider: one.provider,
            model: one.model,
            calls: one.calls,
            tokens: one.usage,
            cost_nanos: one.cost,
        });
        Self {
            month: format!("{:04}-{:02}", month.year(), u8::from(month.month())),
            limit_nanos: standing.limit,
            spent_nanos: standing.spent,
            reserved_nanos: standing.reserved,
            models: models.collect(),
        }
    }
}
