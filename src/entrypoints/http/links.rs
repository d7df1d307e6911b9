//! `GET /v1/cases/{id}/links`: how cases belong together. Linking stands in `transitions`.

use axum::Json;
use axum::extract::State;
use docket_domain::case::LinkKind;
use docket_domain::ids::{CaseId, LinkId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::names_schema;
use super::case_list::viewer;
use super::extract::{Authenticated, NoQuery, PathId, PathIds, Query};
use super::notes::id_in_cursor;
use super::problem::Problem;
use super::state::ApiState;
use crate::application::cases::read_case::read_case;
use crate::application::error::UseCaseError;
use crate::application::ports::case_reader::LinkItem;
use crate::application::request::Caller;

/// A link as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Link)]
pub struct LinkBody {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// The case it starts from.
    pub case_id: Uuid,
    /// The case it leads to.
    pub target_case_id: Uuid,
    /// How they belong together.
    #[schema(schema_with = kind_schema)]
    pub kind: LinkKind,
    /// Why.
    pub reason: String,
    /// Who linked them.
    pub created_by: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<LinkItem> for LinkBody {
    fn from(link: LinkItem) -> Self {
        let LinkItem { id, case_id, target_case_id, kind, reason, created_by, created_at } = link;
        let (case_id, target_case_id) = (case_id.0, target_case_id.0);
        Self { id: id.0, case_id, target_case_id, kind, reason, created_by: created_by.0, created_at }
    }
}

/// One page of links.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkPage {
    /// The links in both directions, oldest first.
    pub items: Vec<LinkBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// List the links of a case in both directions, oldest first; only those whose other end the caller may see.
#[utoipa::path(get, path = "/v1/cases/{id}/links", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = LinkPage)))]
pub async fn list_links(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    mut query: Query,
) -> Result<Json<LinkPage>, Problem> {
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("links|{id}"));
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| id_in_cursor(&bytes)).transpose()?.map(LinkId);
    // One more than asked tells whether there is a next page.
    let mut links = visible_links(&state, &caller, id, after, limit + 1).await?;
    let more = links.len() > limit as usize;
    links.truncate(limit as usize);
    let last = links.last().filter(|_| more);
    let next = last.map(|last| state.cursors.sign(tenant, &bound, last.id.0.as_bytes()));
    Ok(Json(LinkPage { items: links.into_iter().map(LinkBody::from).collect(), next }))
}

/// Get one link of a case.
#[utoipa::path(get, path = "/v1/cases/{id}/links/{link_id}", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"), ("link_id" = Uuid, Path, description = "The link")),
    responses(
        (status = 200, description = "The link", body = LinkBody)))]
pub async fn get_link(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(id, link_id): PathIds,
) -> Result<Json<LinkBody>, Problem> {
    // The list after the identifier just below it begins with the link itself, if it is there.
    let below = LinkId(Uuid::from_u128(link_id.as_u128().saturating_sub(1)));
    let link = visible_links(&state, &caller, id, Some(below), 1).await?.pop().filter(|link| link.id.0 == link_id);
    Ok(Json(link.ok_or(UseCaseError::NotFound("link"))?.into()))
}

async fn visible_links(
    state: &ApiState,
    caller: &Caller,
    id: Uuid,
    after: Option<LinkId>,
    limit: u32,
) -> Result<Vec<LinkItem>, UseCaseError> {
    read_case(state.cases.as_ref(), &state.writing, caller, CaseId(id), "case.links.read").await?;
    Ok(state.cases.links(viewer(caller), CaseId(id), after, limit).await?)
}

fn kind_schema() -> utoipa::openapi::schema::ObjectBuilder {
    names_schema(LinkKind::ALL.iter().map(|kind| kind.as_str()))
}
