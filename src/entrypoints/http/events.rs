//! `GET /v1/events`: the change feed, to be polled or streamed.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::case::EventType;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_list::viewer;
use super::event_stream;
use super::extract::authenticated::credential;
use super::extract::{Authenticated, Query};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::events::envelope::Envelope;
use crate::application::events::read_feed::read_feed;
use crate::application::ports::event_feed::FeedPosition;

/// What a client that comes back saw last (WHATWG HTML, section 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A part of the feed.
#[derive(Debug, Serialize)]
struct Part {
    items: Vec<Envelope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    resume: String,
}

/// One page of events.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct EventPage {
    /// CloudEvents 1.0 in JSON, in the order in which they were committed; of one case in the order of `sequence`.
    #[schema(value_type = Vec<Object>)]
    items: Vec<Value>,
    /// The cursor of the next page; absent when everything committed so far was read.
    next: Option<String>,
    /// The cursor to poll with later; always there.
    resume: String,
}

/// Read what changed, in an order that skips no commit: go through the pages by `next`, then poll with `resume`. With
/// `Accept: text/event-stream` the same events come as a stream that never ends by itself.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(("after" = Option<String>, Query, description = "`next` or `resume` of an earlier answer; from the beginning when absent"),
        ("type" = Option<String>, Query, description = "Event types, separated by commas, for instance docket.case.created"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("Last-Event-ID" = Option<String>, Header, description = "Of a stream: the id of the last message that was seen")),
    responses(
        (status = 200, description = "A page, or a stream", content((EventPage = "application/json"), (String = "text/event-stream")))))]
pub async fn list_events(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    headers: HeaderMap,
    mut query: Query,
) -> Result<Response, Problem> {
    let types = read_types(&mut query);
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("after");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("events|{types:?}"));
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let streams = header(ACCEPT).split(',').any(|part| part.trim().starts_with("text/event-stream"));
    // What the browser's EventSource remembers of the stream before is newer than what its URL says.
    let resumed = Some(header(LAST_EVENT_ID)).filter(|id| streams && !id.is_empty()).map(str::to_owned);
    let cursor = resumed.or(cursor);
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| position_from(&bytes)).transpose()?;
    if streams {
        let credential = credential(&headers).unwrap_or_default().to_owned();
        return event_stream::open(state, event_stream::Request { caller, credential, types, bound, after });
    }
    let part = read_feed(state.events.as_ref(), &caller, viewer(&caller), &types, after, limit).await?;
    let sign = |position: FeedPosition| state.cursors.sign(tenant, &bound, &bytes_of(position));
    let (next, resume) = (part.next.map(sign), sign(part.resume));
    Ok(Json(Part { items: part.events.into_iter().map(Envelope::from).collect(), next, resume }).into_response())
}

/// The types asked for, with or without the prefix that they carry on the wire.
fn read_types(query: &mut Query) -> Vec<EventType> {
    let mut types = Vec::new();
    for name in query.values::<String>("type") {
        match name.strip_prefix("docket.").unwrap_or(&name).parse::<EventType>() {
            Ok(known) => types.push(known),
            Err(error) => query.error("type", error.to_string()),
        }
    }
    types.sort_unstable();
    types.dedup();
    types
}

/// The position as a cursor holds it.
pub(super) fn bytes_of(position: FeedPosition) -> Vec<u8> {
    [&position.transaction_id.to_be_bytes()[..], position.id.as_bytes()].concat()
}

fn position_from(bytes: &[u8]) -> Result<FeedPosition, UseCaseError> {
    let unreadable = || UseCaseError::InvalidCursor("it holds no position");
    let (transaction, id) = bytes.split_at_checked(8).ok_or_else(unreadable)?;
    let transaction_id = u64::from_be_bytes(transaction.try_into().map_err(|_| unreadable())?);
    Ok(FeedPosition { transaction_id, id: Uuid::from_slice(id).map_err(|_| unreadable())? })
}
