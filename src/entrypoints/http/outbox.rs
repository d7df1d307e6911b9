//! `/v1/outbox`: what waits to be delivered, and what was given up: look, try again, skip with a reason.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::{CaseId, DestinationId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{Authenticated, JsonBody, NoQuery, PathIds, Query, WriteHeaders};
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use super::webhook_body::{RedriveDeliveries, SkipDelivery, redrive, skip};
use crate::application::error::UseCaseError;
use crate::application::ports::delivery_log::{LaneFilter, WaitingLane};
use crate::application::webhooks::outbox::OutboxAct;

/// What waits for one destination in one case.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct WaitingDelivery {
    /// A webhook endpoint's id, or that of a sink.
    destination_id: Uuid,
    /// `webhook`, or the sink's name.
    sink: String,
    /// The case.
    case_id: Uuid,
    /// `ready`: tried when due. `dead`: given up; the case's later events wait behind it.
    state: String,
    /// Events that wait, the one at the head included.
    pending: u32,
    /// Failed attempts of the head.
    attempts: u16,
    /// When the head is tried, or when the present attempt is given up.
    due_at: OffsetDateTime,
    /// What went wrong last.
    last_error: Option<String>,
    /// When there was progress last.
    waiting_since: OffsetDateTime,
    /// The event at the head.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// Its place in the case.
    sequence: u64,
}

/// One page of what waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingPage {
    /// One item a destination and case.
    #[schema(value_type = Vec<WaitingDelivery>)]
    pub items: Vec<WaitingLane>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What was tried again.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct RedriveReport {
    /// The tenant.
    id: Uuid,
    /// Only of this destination.
    destination_id: Option<Uuid>,
    /// Only of this case.
    case_id: Option<Uuid>,
    /// How many cases of destinations.
    redriven: u64,
}

/// What was skipped.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct SkipReport {
    /// The event.
    id: Uuid,
    /// The destination that does not get it.
    destination_id: Uuid,
    /// Its case.
    case_id: Uuid,
    /// Its place in the case.
    sequence: u64,
    /// Its type.
    event_type: String,
    /// What went wrong last.
    last_error: Option<String>,
    /// True.
    skipped: bool,
}

/// List what waits to be delivered, one item a destination and case.
#[utoipa::path(get, path = "/v1/outbox", tag = "outbox",
    params(("state" = Option<String>, Query, description = "`dead` or `ready`; both when absent"),
        ("destination_id" = Option<Uuid>, Query, description = "Only of this endpoint or sink"),
        ("case_id" = Option<Uuid>, Query, description = "Only of this case"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = WaitingPage)))]
pub async fn list_waiting(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Response, Problem> {
    let filter = read_filter(&mut query);
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("outbox|{filter:?}"));
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| place_from(&bytes)).transpose()?;
    let mut items = state.deliveries.waiting(&caller, &filter, after, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let place = |lane: &WaitingLane| [&lane.destination_id.0.as_bytes()[..], lane.case_id.0.as_bytes()].concat();
    let next = items.last().filter(|_| more).map(|lane| state.cursors.sign(tenant, &bound, &place(lane)));
    Ok(Json(WaitingPage { items, next }).into_response())
}

/// Inspect what waits for one destination in one case.
#[utoipa::path(get, path = "/v1/outbox/{destination_id}/{case_id}", tag = "outbox",
    params(("destination_id" = Uuid, Path, description = "The endpoint or sink"),
        ("case_id" = Uuid, Path, description = "The case")),
    responses(
        (status = 200, description = "What waits", body = WaitingDelivery)))]
pub async fn get_waiting(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(destination, case): PathIds,
) -> Result<Response, Problem> {
    Ok(Json(state.deliveries.lane(&caller, DestinationId(destination), CaseId(case)).await?).into_response())
}

/// Try events again that were given up: all of them, those of a destination, or those of one case.
#[utoipa::path(post, path = "/v1/outbox/redrive", tag = "outbox", request_body = RedriveDeliveries,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "How many", body = RedriveReport)))]
pub async fn post_redrive(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = OutboxAct::Redrive(redrive(body.value));
    Ok(respond(state.deliveries.move_on(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// Give up the event at the head of a case for good, with a reason; the case's later events flow on.
#[utoipa::path(post, path = "/v1/outbox/{destination_id}/{case_id}/skip", tag = "outbox", request_body = SkipDelivery,
    params(("destination_id" = Uuid, Path, description = "The endpoint or sink"),
        ("case_id" = Uuid, Path, description = "The case"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "What was skipped", body = SkipReport)))]
pub async fn post_skip(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(destination, case): PathIds,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let (destination, case_id, input) = (DestinationId(destination), CaseId(case), skip(body.value));
    let act = OutboxAct::Skip { destination, case_id, input };
    Ok(respond(state.deliveries.move_on(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

fn read_filter(query: &mut Query) -> LaneFilter {
    let dead = match query.text("state").as_deref() {
        None => None,
        Some("dead") => Some(true),
        Some("ready") => Some(false),
        Some(_) => {
            query.error("state", "must be `dead` or `ready`");
            None
        }
    };
    let mut id = |name: &str| {
        let text = query.text(name)?;
        text.parse::<Uuid>().map_err(|_| query.error(name, "must be a UUID")).ok()
    };
    let (destination, case_id) = (id("destination_id").map(DestinationId), id("case_id").map(CaseId));
    LaneFilter { dead, destination, case_id }
}

fn place_from(bytes: &[u8]) -> Result<(Uuid, Uuid), UseCaseError> {
    let unreadable = || UseCaseError::InvalidCursor("it holds no position");
    let (destination, case) = bytes.split_at_checked(16).ok_or_else(unreadable)?;
    let read = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| unreadable());
    Ok((read(destination)?, read(case)?))
}
