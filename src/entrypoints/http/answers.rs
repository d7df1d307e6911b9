//! `/v1/answers`: ask the documents, as JSON or as a stream; read an answer again; say whether it helped; what it cost.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::PrincipalId;
use http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use time::{Date, Month};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer_body::{AnswerBody, AskQuestion, JudgeAnswer, UsageBody, read_judgment, read_question};
use super::answer_stream;
use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::knowledge::answer::{Answer, AnswerEvent};
use crate::application::knowledge::answer_question::{Answered, answer_question};
use crate::application::knowledge::judge_answer::{export_feedback, judge_answer as judge, read_answer};
use crate::application::knowledge::read_usage::read_usage;
use crate::application::ports::answer_store::JudgedAnswer;

/// Ask a question of the documents you may see. With `Accept: text/event-stream` the answer comes as events: `retrieved`,
/// `model`, `token` (as the model writes, markers included), `answer` (checked, with citations), or `problem`. Citations are
/// checked before they are sent: each quote stands in its document at the given place. When the documents do not answer, the
/// verdict is `not_found`.
#[utoipa::path(post, path = "/v1/answers", tag = "knowledge", request_body = AskQuestion,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "A stream of events", content_type = "text/event-stream", body = String),
        (status = 201, description = "The answer", body = AnswerBody, headers(("Location" = String))),
        (status = 402, description = "The budget is used up"),
        (status = 404, description = "There is no such collection")))]
pub async fn post_answer(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    accept: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let question = read_question(body.value);
    let accept = accept.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = accept.split(',').any(|part| part.trim().starts_with("text/event-stream"));
    let answered = answer_question(&state.answering, caller, claim.as_ref(), question).await?;
    match (answered, streams) {
        (Answered::Replay(body), false) => Ok(created(body, true)),
        (Answered::Replay(body), true) => Ok(answer_stream::replayed(&body)),
        (Answered::Events(events), true) => Ok(answer_stream::live(state, events)),
        (Answered::Events(events), false) => Ok(created(whole(events).await?, false)),
    }
}

/// Waits for the end; dropping this cancels the answer.
async fn whole(mut events: mpsc::Receiver<Result<AnswerEvent, UseCaseError>>) -> Result<String, UseCaseError> {
    while let Some(event) = events.recv().await {
        if let AnswerEvent::Done(answer) = event? {
            return Ok(rendered(&answer));
        }
    }
    Err(UseCaseError::Contention)
}

pub(super) fn rendered(answer: &Answer) -> String {
    serde_json::to_string(answer).unwrap_or_default()
}

fn created(body: String, replayed: bool) -> Response {
    let id = serde_json::from_str::<Value>(&body).ok().and_then(|body| Some(body["id"].as_str()?.to_owned()));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(location) = id.and_then(|id| HeaderValue::try_from(format!("/v1/answers/{id}")).ok()) {
        headers.insert(LOCATION, location);
    }
    if replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// Read an answer of your own again, as it was sent.
#[utoipa::path(get, path = "/v1/answers/{id}", tag = "knowledge",
    params(("id" = Uuid, Path, description = "The answer")),
    responses(
        (status = 200, description = "The answer", body = AnswerBody)))]
pub async fn get_answer(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let kept = read_answer(&state.answering, &caller, id).await?;
    Ok(([(CONTENT_TYPE, "application/json")], kept.body).into_response())
}

/// Say whether an answer, or one of its citations, helped. Your next word on the same thing replaces this one.
#[utoipa::path(put, path = "/v1/answers/{id}/feedback", tag = "knowledge", request_body = JudgeAnswer,
    params(("id" = Uuid, Path, description = "The answer")),
    responses(
        (status = 204, description = "Kept")))]
pub async fn put_feedback(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    body: JsonBody,
) -> Result<StatusCode, Problem> {
    let judgment = read_judgment(body.value).map_err(UseCaseError::Invalid)?;
    judge(&state.answering, &caller, id, judgment).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A judgment with the answer it is about.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackBody {
    /// The answer.
    answer_id: Uuid,
    /// The question.
    question: String,
    /// Who judged.
    principal_id: Uuid,
    /// 0 for the answer as a whole, else the number of a citation.
    citation: u16,
    /// The judgment.
    helpful: bool,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    /// What was judged: the answer, or the citation.
    #[schema(value_type = Object)]
    judged: Value,
}

impl From<JudgedAnswer> for FeedbackBody {
    fn from(judged: JudgedAnswer) -> Self {
        let JudgedAnswer { question, body, feedback } = judged;
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let judged = match feedback.citation.checked_sub(1) {
            None => json!({"answer": body["answer"], "verdict": body["verdict"]}),
            Some(index) => body["citations"][usize::from(index)].clone(),
        };
        let (answer_id, principal_id) = (feedback.answer_id, feedback.principal_id.0);
        let (citation, helpful, comment) = (feedback.citation, feedback.helpful, feedback.comment);
        Self { answer_id, question, principal_id, citation, helpful, comment, judged }
    }
}

/// One page of judgments.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackPage {
    /// By answer.
    items: Vec<FeedbackBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Export what readers thought, as cases for an evaluation.
#[utoipa::path(get, path = "/v1/feedback", tag = "knowledge",
    params(("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = FeedbackPage)))]
pub async fn list_feedback(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<FeedbackPage>, Problem> {
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let tenant = caller.actor.tenant_id;
    let after = cursor.map(|cursor| state.cursors.open(tenant, "feedback", &cursor)).transpose()?;
    let after =
        after.map(|bytes| place(&bytes).ok_or(UseCaseError::InvalidCursor("it holds no position"))).transpose()?;
    let mut judged = export_feedback(&state.answering, &caller, after, limit + 1).await?;
    let more = judged.len() > limit as usize;
    judged.truncate(limit as usize);
    let next = judged.last().filter(|_| more).map(|last| {
        let feedback = &last.feedback;
        let ids = [*feedback.answer_id.as_bytes(), *feedback.principal_id.0.as_bytes()].concat();
        state.cursors.sign(tenant, "feedback", &[ids, feedback.citation.to_be_bytes().to_vec()].concat())
    });
    Ok(Json(FeedbackPage { items: judged.into_iter().map(FeedbackBody::from).collect(), next }))
}

fn place(bytes: &[u8]) -> Option<(Uuid, PrincipalId, u16)> {
    let (answer, rest) = bytes.split_at_checked(16)?;
    let (principal, citation) = rest.split_at_checked(16)?;
    let citation = u16::from_be_bytes(citation.try_into().ok()?);
    Some((Uuid::from_slice(answer).ok()?, PrincipalId(Uuid::from_slice(principal).ok()?), citation))
}

/// Read what your tenant's model calls cost in a month.
#[utoipa::path(get, path = "/v1/usage", tag = "knowledge",
    params(("month" = Option<String>, Query, description = "For instance 2026-11 (UTC); the present one when absent")),
    responses(
        (status = 200, description = "The month", body = UsageBody)))]
pub async fn get_usage(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<UsageBody>, Problem> {
    let month = match query.text("month") {
        None => state.clock.now().date().replace_day(1).ok(),
        Some(text) => {
            let read = read_month(&text);
            if read.is_none() {
                query.error("month", "must be a month like 2026-11");
            }
            read
        }
    };
    query.finish()?;
    let month = month.unwrap_or(Date::MIN);
    let (standing, models) = read_usage(&state.answering, &caller, month).await?;
    Ok(Json(UsageBody::new(month, standing, models)))
}

fn read_month(text: &str) -> Option<Date> {
    let (year, month) = text.split_once('-').filter(|(year, month)| year.len() == 4 && month.len() == 2)?;
    let year: i32 = year.parse().ok().filter(|year| (2000..=9999).contains(year))?;
    Date::from_calendar_date(year, Month::try_from(month.parse::<u8>().ok()?).ok()?, 1).ok()
}
