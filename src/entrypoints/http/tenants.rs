//! `/v1/tenants`: operators create, read, suspend and resume tenants.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::TenantId;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::{
    CreateTenant, CreatedTenantBody, HttpTenancyPresenter, PatchTenant, TenantBody, new_tenant, suspension,
};
use crate::application::tenancy::create_tenant::create_tenant;
use crate::application::tenancy::directory;
use crate::application::tenancy::suspend_tenant::suspend_tenant;

/// One page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantPage {
    /// The tenants, in the order of their creation.
    pub items: Vec<TenantBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Create a tenant, with a first administrator and key if `admin_display_name` is given. The key is shown once.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenancy", request_body = CreateTenant,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Created", body = CreatedTenantBody, headers(("Location" = String)))))]
pub async fn post_tenant(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let new = new_tenant(body.value);
    Ok(respond(create_tenant(&state.tenancy, &caller, claim.as_ref(), new, &HttpTenancyPresenter).await?))
}

/// List tenants.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenancy",
    params(("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = TenantPage)))]
pub async fn list_tenants(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Response, Problem> {
    let page = IdPage::read(&state, caller.actor.tenant_id, "tenants".to_owned(), query)?;
    let mut rows = directory::list_tenants(state.tenancy.store.as_ref(), &caller, page.request).await?;
    let next = page.finish(&state, &mut rows, |tenant| tenant.id.0);
    Ok(Json(TenantPage { items: rows.iter().map(TenantBody::from).collect(), next }).into_response())
}

/// Get a tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", tag = "tenancy",
    params(("id" = Uuid, Path, description = "The tenant")),
    responses(
        (status = 200, description = "The tenant", body = TenantBody)))]
pub async fn get_tenant(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let tenant = directory::read_tenant(state.tenancy.store.as_ref(), &caller, TenantId(id)).await?;
    Ok(Json(TenantBody::from(&tenant)).into_response())
}

/// Suspend or resume a tenant. The last write wins: there is no version to match.
#[utoipa::path(patch, path = "/v1/tenants/{id}", tag = "tenancy", request_body = PatchTenant,
    params(("id" = Uuid, Path, description = "The tenant"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: doing it again changes nothing")),
    responses(
        (status = 200, description = "The tenant after the change", body = TenantBody)))]
pub async fn patch_tenant(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let (id, suspended) = (TenantId(id), suspension(body.value));
    let written = suspend_tenant(&state.tenancy, &caller, claim.as_ref(), id, suspended, &HttpTenancyPresenter).await?;
    Ok(respond(written))
}
