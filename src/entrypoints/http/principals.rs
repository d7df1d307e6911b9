//! `/v1/principals`: a tenant's administrators create, read and change its people and programs; `/v1/whoami` for everybody.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{Roles, Scope};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::{
    CreatePrincipal, HttpTenancyPresenter, PatchPrincipal, PrincipalBody, TenantBody, new_principal, principal_changes,
};
use crate::application::tenancy::create_principal::create_principal;
use crate::application::tenancy::directory;
use crate::application::tenancy::update_principal::update_principal;

/// One page of principals.
#[derive(Debug, Serialize, ToSchema)]
pub struct PrincipalPage {
    /// The principals, in the order of their ids.
    pub items: Vec<PrincipalBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Who is asking.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhoAmI {
    /// The tenant.
    pub tenant: TenantBody,
    /// The principal.
    pub principal: PrincipalBody,
    /// The roles that hold for this credential; a token may grant others than the principal had last.
    #[schema(value_type = Vec<String>)]
    pub roles: Roles,
    /// What this credential may be used for.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// The person the program says that it acts for.
    pub on_behalf_of: Option<Uuid>,
}

/// Create a principal. It gets in with an API key.
#[utoipa::path(post, path = "/v1/principals", tag = "tenancy", request_body = CreatePrincipal,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Created", body = PrincipalBody, headers(("Location" = String)))))]
pub async fn post_principal(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let new = new_principal(body.value);
    Ok(respond(create_principal(&state.tenancy, &caller, claim.as_ref(), new, &HttpTenancyPresenter).await?))
}

/// List the tenant's principals.
#[utoipa::path(get, path = "/v1/principals", tag = "tenancy",
    params(("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = PrincipalPage)))]
pub async fn list_principals(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Response, Problem> {
    let page = IdPage::read(&state, caller.actor.tenant_id, "principals".to_owned(), query)?;
    let mut rows = directory::list_principals(state.tenancy.store.as_ref(), &caller, page.request).await?;
    let next = page.finish(&state, &mut rows, |principal| principal.id.0);
    Ok(Json(PrincipalPage { items: rows.iter().map(PrincipalBody::from).collect(), next }).into_response())
}

/// Get a principal.
#[utoipa::path(get, path = "/v1/principals/{id}", tag = "tenancy",
    params(("id" = Uuid, Path, description = "The principal")),
    responses(
        (status = 200, description = "The principal", body = PrincipalBody)))]
pub async fn get_principal(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let principal = directory::read_principal(state.tenancy.store.as_ref(), &caller, PrincipalId(id)).await?;
    Ok(Json(PrincipalBody::from(&principal)).into_response())
}

/// Change a principal's name or roles, disable or enable it. The last write wins: there is no version to match.
#[utoipa::path(patch, path = "/v1/principals/{id}", tag = "tenancy", request_body = PatchPrincipal,
    params(("id" = Uuid, Path, description = "The principal"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: doing it again changes nothing")),
    responses(
        (status = 200, description = "The principal after the change", body = PrincipalBody)))]
pub async fn patch_principal(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let (id, changes) = (PrincipalId(id), principal_changes(body.value));
    let written = update_principal(&state.tenancy, &caller, claim.as_ref(), id, changes, &HttpTenancyPresenter).await?;
    Ok(respond(written))
}

/// Who am I: tenant, principal, roles and scopes of the credential sent.
#[utoipa::path(get, path = "/v1/whoami", tag = "tenancy",
    responses(
        (status = 200, description = "Who is asking", body = WhoAmI)))]
pub async fn get_whoami(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
) -> Result<Response, Problem> {
    let (tenant, principal) = directory::who_am_i(state.tenancy.store.as_ref(), &caller).await?;
    let body = WhoAmI {
        tenant: (&tenant).into(),
        principal: (&principal).into(),
        roles: caller.actor.roles,
        scopes: caller.actor.scopes,
        on_behalf_of: caller.actor.on_behalf_of.map(|id| id.0),
    };
    Ok(Json(body).into_response())
}
