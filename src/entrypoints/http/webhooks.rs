//! `/v1/webhooks`: a tenant's administrators register, change, test and remove endpoints, and read their delivery log.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::EndpointId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use super::webhook_body::{
    CreateWebhook, EndpointBody, PatchWebhook, ReplayRange, RotateSecret, endpoint_changes, new_endpoint, replay_range,
    secret_overlap,
};
use crate::application::ports::delivery_log::Attempt;
use crate::application::webhooks::administer::EndpointAct;

/// One page of endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookPage {
    /// The endpoints, in the order of their registration.
    pub items: Vec<EndpointBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One attempt to deliver a message.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct DeliveryAttempt {
    /// Identifier.
    id: Uuid,
    /// The endpoint.
    destination: Uuid,
    /// The event; also the message's `webhook-id`.
    event_id: Uuid,
    /// Its type.
    event_type: String,
    /// The case; none for a test.
    case_id: Option<Uuid>,
    /// The case's version; none for a test.
    sequence: Option<u64>,
    /// Which attempt it was, from 1.
    attempt: u16,
    /// `delivered`, `rejected`, `outage` or `gone`.
    outcome: String,
    /// The HTTP status, if there was an answer.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    duration_ms: u32,
    /// The beginning of the answer, or what went wrong.
    detail: Option<String>,
    /// When.
    attempted_at: OffsetDateTime,
}

/// One page of the delivery log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptPage {
    /// The attempts, newest first.
    #[schema(value_type = Vec<DeliveryAttempt>)]
    pub items: Vec<Attempt>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many events are sent again.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct ReplayReport {
    /// The endpoint.
    id: Uuid,
    /// From this instant on.
    from: OffsetDateTime,
    /// Before this instant.
    until: OffsetDateTime,
    /// Events that are sent again.
    events: u64,
}

/// Register an endpoint. Its signing secret stands in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", request_body = CreateWebhook,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Registered", body = EndpointBody, headers(("Location" = String)))))]
pub async fn post_webhook(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = EndpointAct::Create(new_endpoint(body.value));
    Ok(respond(state.deliveries.administer(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// List the tenant's endpoints.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks",
    params(("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = WebhookPage)))]
pub async fn list_webhooks(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Response, Problem> {
    let page = IdPage::read(&state, caller.actor.tenant_id, "webhooks".to_owned(), query)?;
    let mut rows = state.deliveries.endpoints(&caller, page.request.after, page.request.limit).await?;
    let next = page.finish(&state, &mut rows, |endpoint| endpoint.id.0);
    let items = rows.iter().map(|endpoint| EndpointBody::new(endpoint, None)).collect();
    Ok(Json(WebhookPage { items, next }).into_response())
}

/// Get an endpoint.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The endpoint")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointBody)))]
pub async fn get_webhook(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let endpoint = state.deliveries.endpoint(&caller, EndpointId(id)).await?;
    Ok(Json(EndpointBody::new(&endpoint, None)).into_response())
}

/// Change an endpoint; what is absent stays.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks", request_body = PatchWebhook,
    params(("id" = Uuid, Path, description = "The endpoint"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: doing it again changes nothing")),
    responses(
        (status = 200, description = "The endpoint", body = EndpointBody)))]
pub async fn patch_webhook(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = EndpointAct::Update(EndpointId(id), endpoint_changes(body.value));
    Ok(respond(state.deliveries.administer(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// Remove an endpoint and everything that waits for it.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The endpoint"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: a second time there is nothing to remove")),
    responses(
        (status = 200, description = "What was removed", body = EndpointBody)))]
pub async fn delete_webhook(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    let act = EndpointAct::Delete(EndpointId(id));
    Ok(respond(state.deliveries.administer(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// Give an endpoint a new secret. Messages carry the signatures of both until the overlap ends.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate-secret", tag = "webhooks", request_body = RotateSecret,
    params(("id" = Uuid, Path, description = "The endpoint"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "The endpoint with its new secret", body = EndpointBody, headers(("Location" = String)))))]
pub async fn post_secret_rotation(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = EndpointAct::Rotate(EndpointId(id), secret_overlap(body.value));
    Ok(respond(state.deliveries.administer(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// Send the events of a time range to an endpoint again, in the order of their cases, under their own ids.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "webhooks", request_body = ReplayRange,
    params(("id" = Uuid, Path, description = "The endpoint"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "How many", body = ReplayReport)))]
pub async fn post_replay(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = EndpointAct::Replay(EndpointId(id), replay_range(body.value));
    Ok(respond(state.deliveries.administer(&caller, claim.as_ref(), act, &HttpTenancyPresenter).await?))
}

/// Send a test message now and see what the endpoint answers. Nothing is retried, nothing else changes.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The endpoint")),
    responses(
        (status = 200, description = "How it went", body = DeliveryAttempt)))]
pub async fn post_test(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    Ok(Json(state.deliveries.test(&caller, EndpointId(id)).await?).into_response())
}

/// Read the delivery log of an endpoint, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = Uuid, Path, description = "The endpoint"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = AttemptPage)))]
pub async fn list_attempts(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
) -> Result<Response, Problem> {
    let page = IdPage::read(&state, caller.actor.tenant_id, format!("webhook-attempts|{id}"), query)?;
    let (after, limit) = (page.request.after, page.request.limit);
    let mut items = state.deliveries.attempts(&caller, EndpointId(id), after, limit).await?;
    let next = page.finish(&state, &mut items, |attempt| attempt.id);
    Ok(Json(AttemptPage { items, next }).into_response())
}
