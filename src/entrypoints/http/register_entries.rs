//! `GET /v1/cases/{id}/register-entries`: what the company register said of the respondent. Nobody writes here but docket itself.

use axum::Json;
use axum::extract::State;
use docket_domain::case::CompanyStatus;
use docket_domain::ids::CaseId;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::names_schema;
use super::extract::{Authenticated, PathId, Query};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::cases::read_case::read_case;
use crate::application::error::UseCaseError;
use crate::application::ports::register_entries::StoredEntry;

/// Entries shown at most; a case rarely has more than a handful.
const SHOWN: u32 = 100;

/// An answer of the company register.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegisterEntry)]
pub struct RegisterEntryBody {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// The event that led to the look-up.
    pub event_id: Uuid,
    /// The respondent as it was when the register was asked.
    pub asked_name: String,
    /// The company of that name; null when the register knows none.
    pub company: Option<CompanyBody>,
    /// When it was written down.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// A company as the register knows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Company)]
pub struct CompanyBody {
    /// The register's number for it.
    pub number: String,
    /// Its name there.
    pub name: String,
    /// Whether it still does business.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// Its registered address; may be empty.
    pub address: String,
}

impl From<StoredEntry> for RegisterEntryBody {
    fn from(stored: StoredEntry) -> Self {
        let company = stored.entry.company.map(|company| CompanyBody {
            number: company.number,
            name: company.name,
            status: company.status.as_str(),
            address: company.address,
        });
        let asked_name = stored.entry.asked_name;
        Self { id: stored.id.0, event_id: stored.event_id.0, asked_name, company, created_at: stored.created_at }
    }
}

/// The answers of a case.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisterEntryList {
    /// The answers, newest first, a hundred at most.
    pub items: Vec<RegisterEntryBody>,
}

/// List what the company register said of the case's respondent, newest first.
#[utoipa::path(get, path = "/v1/cases/{id}/register-entries", tag = "cases",
    params(("id" = Uuid, Path, description = "The case")),
    responses(
        (status = 200, description = "The answers", body = RegisterEntryList)))]
pub async fn list_register_entries(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
) -> Result<Json<RegisterEntryList>, Problem> {
    query.finish()?;
    read_case(state.cases.as_ref(), &state.writing, &caller, CaseId(id), "case.register_entries.read").await?;
    let found = state.register_entries.of_case(caller.actor.tenant_id, CaseId(id), SHOWN).await;
    let items = found.map_err(UseCaseError::from)?.into_iter().map(RegisterEntryBody::from).collect();
    Ok(Json(RegisterEntryList { items }))
}

fn status_schema() -> utoipa::openapi::schema::ObjectBuilder {
    names_schema(CompanyStatus::ALL.iter().map(|status| status.as_str()))
}
