//! `GET /v1/cases/{id}/notes`: the prose that hangs on a case. Adding a note stands in `transitions`.

use axum::Json;
use axum::extract::State;
use docket_domain::ids::{CaseId, NoteId};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::names_schema;
use super::extract::{Authenticated, NoQuery, PathId, PathIds, Query};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::cases::read_case::read_case;
use crate::application::error::UseCaseError;
use crate::application::ports::case_reader::Note;

/// A note as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Note)]
pub struct NoteBody {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// A remark, a question, or the answer to one.
    #[schema(schema_with = kind_schema)]
    pub kind: &'static str,
    /// Who wrote it.
    pub author_id: Uuid,
    /// The text.
    pub body: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<Note> for NoteBody {
    fn from(note: Note) -> Self {
        let Note { id, kind, author_id, body, created_at } = note;
        Self { id: id.0, kind: kind.as_str(), author_id: author_id.0, body, created_at }
    }
}

/// One page of notes.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotePage {
    /// The notes, oldest first.
    pub items: Vec<NoteBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// List the notes, questions and answers of a case, oldest first.
#[utoipa::path(get, path = "/v1/cases/{id}/notes", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = NotePage)))]
pub async fn list_notes(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    mut query: Query,
) -> Result<Json<NotePage>, Problem> {
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("notes|{id}"));
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| id_in_cursor(&bytes)).transpose()?.map(NoteId);
    read_case(state.cases.as_ref(), &state.writing, &caller, CaseId(id), "case.notes.read").await?;
    // One more than asked tells whether there is a next page.
    let found = state.cases.notes(tenant, CaseId(id), after, limit + 1).await;
    let mut notes = found.map_err(UseCaseError::from)?;
    let more = notes.len() > limit as usize;
    notes.truncate(limit as usize);
    let last = notes.last().filter(|_| more);
    let next = last.map(|last| state.cursors.sign(tenant, &bound, last.id.0.as_bytes()));
    Ok(Json(NotePage { items: notes.into_iter().map(NoteBody::from).collect(), next }))
}

/// Get one note of a case.
#[utoipa::path(get, path = "/v1/cases/{id}/notes/{note_id}", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"), ("note_id" = Uuid, Path, description = "The note")),
    responses(
        (status = 200, description = "The note", body = NoteBody)))]
pub async fn get_note(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(id, note_id): PathIds,
) -> Result<Json<NoteBody>, Problem> {
    read_case(state.cases.as_ref(), &state.writing, &caller, CaseId(id), "case.notes.read").await?;
    // The list after the identifier just below it begins with the note itself, if it is there.
    let below = NoteId(Uuid::from_u128(note_id.as_u128().saturating_sub(1)));
    let found = state.cases.notes(caller.actor.tenant_id, CaseId(id), Some(below), 1).await;
    let note = found.map_err(UseCaseError::from)?.pop().filter(|note| note.id.0 == note_id);
    Ok(Json(note.ok_or(UseCaseError::NotFound("note"))?.into()))
}

/// The identifier that a cursor of a list ordered by identifier holds.
pub(super) fn id_in_cursor(bytes: &[u8]) -> Result<Uuid, UseCaseError> {
    Uuid::from_slice(bytes).map_err(|_| UseCaseError::InvalidCursor("it holds no position"))
}

fn kind_schema() -> utoipa::openapi::schema::ObjectBuilder {
    names_schema(["note", "question", "answer"].into_iter())
}
