//! `GET /v1/cases/{id}/links`: how cases belong together. Linking stands in `transitions`.

use axum::Json;
use axum::extract::State;
use docket_domain::case::LinkKind;
use docket_domain::ids::CaseId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::names_schema;
use super::case_list::viewer;
use super::extract::{Authenticated, PathId, PathIds};
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

/// The links of a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkList {
    /// The links in both directions, oldest first.
    pub items: Vec<LinkBody>,
}

/// List the links of a case in both directions; only those whose other end the caller may see.
#[utoipa::path(get, path = "/v1/cases/{id}/links", tag = "cases",
    params(("id" = Uuid, Path, description = "The case")),
    responses(
        (status = 200, description = "The links", body = LinkList)))]
pub async fn list_links(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
) -> Result<Json<LinkList>, Problem> {
    let links = visible_links(&state, &caller, id).await?;
    Ok(Json(LinkList { items: links.into_iter().map(LinkBody::from).collect() }))
}

/// Get one link of a case.
#[utoipa::path(get, path = "/v1/cases/{id}/links/{link_id}", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"), ("link_id" = Uuid, Path, description = "The link")),
    responses(
        (status = 200, description = "The link", body = LinkBody)))]
pub async fn get_link(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathIds(id, link_id): PathIds,
) -> Result<Json<LinkBody>, Problem> {
    let link = visible_links(&state, &caller, id).await?.into_iter().find(|link| link.id.0 == link_id);
    Ok(Json(link.ok_or(UseCaseError::NotFound("link"))?.into()))
}

async fn visible_links(state: &ApiState, caller: &Caller, id: Uuid) -> Result<Vec<LinkItem>, UseCaseError> {
    read_case(state.cases.as_ref(), &state.writing, caller, CaseId(id), "case.links.read").await?;
    Ok(state.cases.links(viewer(caller), CaseId(id)).await?)
}

fn kind_schema() -> utoipa::openapi::schema::ObjectBuilder {
    names_schema(LinkKind::ALL.iter().map(|kind| kind.as_str()))
}
