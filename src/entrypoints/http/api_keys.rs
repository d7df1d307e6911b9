//! `/v1/api-keys`: a tenant's administrators make, list, rotate and revoke API keys. A secret is shown once.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::ApiKeyId;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::{
    CreateApiKey, CreatedKeyBody, HttpTenancyPresenter, KeyBody, RotateApiKey, new_key, overlap,
};
use crate::application::tenancy::create_key::create_key;
use crate::application::tenancy::directory;
use crate::application::tenancy::revoke_key::revoke_key;
use crate::application::tenancy::rotate_key::rotate_key;

/// One page of keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyPage {
    /// The keys, in the order of their creation, those that expired or were revoked included.
    pub items: Vec<KeyBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Create an API key. The whole key stands in this answer and nowhere else: a replay shows the answer without it.
#[utoipa::path(post, path = "/v1/api-keys", tag = "tenancy", request_body = CreateApiKey,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Created", body = CreatedKeyBody, headers(("Location" = String))),
        (status = 404, description = "There is no such principal")))]
pub async fn post_api_key(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let new = new_key(body.value);
    Ok(respond(create_key(&state.tenancy, &caller, claim.as_ref(), new, &HttpTenancyPresenter).await?))
}

/// List the tenant's API keys, without secrets.
#[utoipa::path(get, path = "/v1/api-keys", tag = "tenancy",
    params(("principal_id" = Option<Uuid>, Query, description = "Only this principal's"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = ApiKeyPage)))]
pub async fn list_api_keys(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Response, Problem> {
    let principal = query.principal("principal_id");
    let page = IdPage::read(&state, caller.actor.tenant_id, format!("api-keys|{principal:?}"), query)?;
    let mut rows = directory::list_keys(state.tenancy.store.as_ref(), &caller, principal, page.request).await?;
    let next = page.finish(&state, &mut rows, |key| key.id.0);
    Ok(Json(ApiKeyPage { items: rows.iter().map(KeyBody::from).collect(), next }).into_response())
}

/// Get an API key, without its secret.
#[utoipa::path(get, path = "/v1/api-keys/{id}", tag = "tenancy",
    params(("id" = Uuid, Path, description = "The key")),
    responses(
        (status = 200, description = "The key", body = KeyBody)))]
pub async fn get_api_key(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let key = directory::read_key(state.tenancy.store.as_ref(), &caller, ApiKeyId(id)).await?;
    Ok(Json(KeyBody::from(&key)).into_response())
}

/// Rotate an API key: a new one with the same label and scopes, and as long a life; the old one expires after the overlap.
#[utoipa::path(post, path = "/v1/api-keys/{id}/rotate", tag = "tenancy", request_body = RotateApiKey,
    params(("id" = Uuid, Path, description = "The key to replace"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "The new key", body = CreatedKeyBody, headers(("Location" = String)))))]
pub async fn post_rotation(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let (id, overlap) = (ApiKeyId(id), overlap(body.value));
    Ok(respond(rotate_key(&state.tenancy, &caller, claim.as_ref(), id, overlap, &HttpTenancyPresenter).await?))
}

/// Revoke an API key: it is refused by this node at once and by the others within seconds. Again changes nothing.
#[utoipa::path(delete, path = "/v1/api-keys/{id}", tag = "tenancy",
    params(("id" = Uuid, Path, description = "The key"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: doing it again changes nothing")),
    responses(
        (status = 200, description = "The revoked key", body = KeyBody)))]
pub async fn delete_api_key(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    let written = revoke_key(&state.tenancy, &caller, claim.as_ref(), ApiKeyId(id), &HttpTenancyPresenter).await?;
    Ok(respond(written))
}
