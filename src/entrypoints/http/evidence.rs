//! `/v1/cases/{id}/evidence`: upload, list, look at; handing out the bytes stands in `evidence_content`.

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{Request, State};
use axum::response::Response;
use docket_domain::ids::{CaseId, EvidenceId};
use docket_domain::text;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::CaseBody;
use super::extract::{Authenticated, NoQuery, PathId, PathIds, Query, WriteHeaders};
use super::notes::id_in_cursor;
use super::presenter::{Created, HttpPresenter, respond};
use super::problem::Problem;
use super::state::ApiState;
use super::upload_form::{UploadForm, broken};
use crate::application::cases::unit_of_work::ChangeRequest;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::evidence::add_evidence::{add_evidence, admit_upload};
use crate::application::evidence::read_evidence::{list_evidence, read_evidence};
use crate::application::evidence::receive_file::{Announced, Received, discard, receive_file};
use crate::application::ports::case_reader::EvidenceItem;
use crate::application::request::Caller;

/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 500;

/// An attachment as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Evidence)]
pub struct EvidenceBody {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// Their number.
    pub size_bytes: u64,
    /// Their media type, as detected.
    pub media_type: String,
    /// The name to show.
    pub file_name: String,
    /// What it shows.
    pub description: String,
    /// Who attached it.
    pub added_by: Uuid,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<EvidenceItem> for EvidenceBody {
    fn from(item: EvidenceItem) -> Self {
        Self {
            id: item.id.0,
            sha256: hex::encode(item.sha256),
            size_bytes: item.size_bytes,
            media_type: item.media_type,
            file_name: item.file_name,
            description: item.description,
            added_by: item.added_by.0,
            created_at: item.created_at,
        }
    }
}

/// One page of attachments.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidencePage {
    /// The attachments, oldest first.
    pub items: Vec<EvidenceBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a client sends to attach a file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct EvidenceForm {
    /// The file, with its name.
    #[schema(value_type = String, format = Binary)]
    file: String,
    /// What it shows.
    #[schema(max_length = 500)]
    description: Option<String>,
}

/// Attach a file to a case. Accepted are PDF, PNG, JPEG, TIFF, text (txt, log, md, csv, json, xml, html, eml) and office
/// documents without macros (docx, xlsx, pptx, odt); name, declared type and bytes must agree.
#[utoipa::path(post, path = "/v1/cases/{id}/evidence", tag = "evidence",
    request_body(content = EvidenceForm, content_type = "multipart/form-data"),
    params(("id" = Uuid, Path, description = "The case"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation")),
    responses(
        (status = 201, description = "The case with the evidence", body = CaseBody<'static>, headers(("ETag" = String), ("Location" = String)))))]
pub async fn post_evidence(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    request: Request,
) -> Result<Response, Problem> {
    let early = headers.claim(b"");
    let presenter = HttpPresenter::new(&state, &caller.request_id, Created::OnCase("evidence"));
    let change = ChangeRequest {
        caller: &caller,
        case_id: CaseId(id),
        if_match: headers.if_match,
        claim: early.as_ref(),
        dry_run: false,
        presenter: &presenter,
        action: "case.add_evidence",
        completes: None,
    };
    admit_upload(state.cases.as_ref(), &state.writing, &change).await?;
    let wanted = "send the file as `multipart/form-data` with a boundary and a part named `file`";
    let form = UploadForm::from_request(request, wanted).await?;
    let (received, description) = read_form(&state, &caller, form).await?;
    // The boundary is random and part of no fingerprint: what was sent is the file, its name and its description.
    let digest = hex::encode(received.address.sha256);
    let fingerprint = serde_json::json!([digest, received.file_name, description]).to_string();
    let claim = headers.claim(fingerprint.as_bytes());
    let change = ChangeRequest { claim: claim.as_ref(), ..change };
    let written = add_evidence(state.blobs.as_ref(), &state.writing, change, received, description).await?;
    Ok(respond(written))
}

/// List the attachments of a case, oldest first.
#[utoipa::path(get, path = "/v1/cases/{id}/evidence", tag = "evidence",
    params(("id" = Uuid, Path, description = "The case"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = EvidencePage)))]
pub async fn get_evidence_list(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    mut query: Query,
) -> Result<Json<EvidencePage>, Problem> {
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("evidence|{id}"));
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| id_in_cursor(&bytes)).transpose()?.map(EvidenceId);
    // One more than asked tells whether there is a next page.
    let (cases, writing) = (state.cases.as_ref(), &state.writing);
    let mut items = list_evidence(cases, writing, &caller, CaseId(id), after, limit + 1).await?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|last| state.cursors.sign(tenant, &bound, last.id.0.as_bytes()));
    Ok(Json(EvidencePage { items: items.into_iter().map(EvidenceBody::from).collect(), next }))
}

/// Get what is known of one attachment.
#[utoipa::path(get, path = "/v1/cases/{id}/evidence/{evidence_id}", tag = "evidence",
    params(("id" = Uuid, Path, description = "The case"), ("evidence_id" = Uuid, Path, description = "The attachment")),
    responses(
        (status = 200, description = "The attachment", body = EvidenceBody)))]
pub async fn get_evidence(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(id, evidence_id): PathIds,
) -> Result<Json<EvidenceBody>, Problem> {
    let (case, evidence) = (CaseId(id), EvidenceId(evidence_id));
    let (cases, writing) = (state.cases.as_ref(), &state.writing);
    let item = read_evidence(cases, writing, &caller, case, evidence, "case.evidence.list").await?;
    Ok(Json(item.into()))
}

/// Reads the parts as they come. On any mistake, bytes that were staged already are forgotten again.
async fn read_form(state: &ApiState, caller: &Caller, mut form: UploadForm) -> Result<(Received, String), Problem> {
    let mut file = None;
    let outcome = read_parts(state, caller, &mut form, &mut file).await;
    match (outcome, file) {
        (Ok(description), Some(received)) => Ok((received, description)),
        (Ok(_), None) => Err(invalid("/file", "is required: one part named `file` with a file name").into()),
        (Err(problem), Some(received)) => {
            discard(state.blobs.as_ref(), received.staged).await;
            Err(problem)
        }
        (Err(problem), None) => Err(problem),
    }
}

async fn read_parts(
    state: &ApiState,
    caller: &Caller,
    form: &mut UploadForm,
    file: &mut Option<Received>,
) -> Result<String, Problem> {
    let mut description = None;
    while let Some(field) = form.next_part().await? {
        match field.name().unwrap_or_default() {
            "file" if file.is_some() => return Err(invalid("/file", "was sent twice; send one file a request").into()),
            "file" => *file = Some(read_file(state, caller, field).await?),
            "description" if description.is_none() => description = Some(read_description(field).await?),
            "description" => return Err(invalid("/description", "was sent twice").into()),
            other => {
                let pointer = format!("/{}", other.chars().take(60).collect::<String>());
                return Err(invalid(&pointer, "is not a part here; send `file` and `description`").into());
            }
        }
    }
    Ok(description.unwrap_or_default())
}

async fn read_file(state: &ApiState, caller: &Caller, field: Field<'_>) -> Result<Received, Problem> {
    let announced = Announced {
        file_name: field.file_name().unwrap_or_default().to_owned(),
        media_type: field.content_type().unwrap_or_default().to_owned(),
    };
    let limit = state.max_evidence_bytes;
    // The use case knows no HTTP: what broke the transfer is kept aside and told in its own words.
    let mut transfer = None;
    let chunks = field.map_err(|error| {
        transfer = Some(broken(&error));
        UseCaseError::Invalid(vec![Invalid::new("/file", "the transfer broke off")])
    });
    let tenant = caller.actor.tenant_id;
    let staged = state.clock.new_id();
    let received = receive_file(state.blobs.as_ref(), tenant, staged, &announced, chunks.boxed(), limit).await;
    received.map_err(|error| transfer.unwrap_or_else(|| error.into()))
}

async fn read_description(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > DESCRIPTION_MAX * 4 {
            break;
        }
    }
    let raw = String::from_utf8(bytes).map_err(|_| invalid("/description", "must be UTF-8"))?;
    text::line(&raw, DESCRIPTION_MAX).map_err(|error| invalid("/description", &error.to_string()).into())
}

fn invalid(pointer: &str, detail: &str) -> UseCaseError {
    UseCaseError::Invalid(vec![Invalid::new(pointer, detail)])
}
