//! `/v1/documents` and `/v1/collections`: bring documents in, watch them being read, take them out.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use docket_domain::case::Confidentiality;
use docket_domain::document::DocumentStatus;
use docket_domain::ids::DocumentId;
use docket_domain::principal::Scope;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::document_body::{CollectionBody, DocumentBody, DocumentByUrl, DocumentForm, PassageBody};
use super::document_upload::{from_form, from_url};
use super::extract::json_body::is_json;
use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use crate::application::error::UseCaseError;
use crate::application::knowledge::library::NewDocument;

/// One page of documents.
#[derive(Debug, Serialize, ToSchema)]
pub struct DocumentPage {
    /// The documents, newest first.
    pub items: Vec<DocumentBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Passages of a document.
#[derive(Debug, Serialize, ToSchema)]
pub struct PassagePage {
    /// The passages in order.
    pub items: Vec<PassageBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Every collection.
#[derive(Debug, Serialize, ToSchema)]
pub struct CollectionList {
    /// The collections, by name.
    pub items: Vec<CollectionBody>,
}

/// Bring a document: as a form with a `file` (PDF, HTML, Markdown, text, DOCX), or as JSON with the `url` to fetch it from.
/// It is read in the background; `status` says how far that is. The same source again replaces the document, equal
/// content is kept once.
#[utoipa::path(post, path = "/v1/documents", tag = "documents",
    request_body(content((DocumentForm = "multipart/form-data"), (DocumentByUrl = "application/json"))),
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "Known already, or replaced", body = DocumentBody),
        (status = 201, description = "New", body = DocumentBody, headers(("Location" = String)))))]
pub async fn post_document(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    request: Request,
) -> Result<Response, Problem> {
    // Whoever may bring nothing at all is told before any byte is taken in.
    state.library.require_curator(&caller, headers.claim(b"").as_ref(), Confidentiality::Public).await?;
    let declared = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (received, labels, claim) = if is_json(declared) {
        // What was sent is the address, whatever it gives today: an answer that is stored already needs no fetching.
        let body = JsonBody::from_request(request, &state).await?;
        let claim = headers.claim(&body.canonical);
        if let Some(answered) = state.library.tenancy.answered(&caller, claim.as_ref()).await? {
            return Ok(respond(answered));
        }
        let (received, labels) = from_url(&state, &caller, body.value).await?;
        (received, labels, claim)
    } else {
        let (received, labels) = from_form(&state, &caller, request).await?;
        // The boundary of a form is random: what was sent is the content and what is said of it.
        let digest = hex::encode(received.address.sha256);
        let said = format!("{digest} {} {labels:?}", received.file_name);
        (received, labels, headers.claim(said.as_bytes()))
    };
    let new = NewDocument {
        title: labels.title.unwrap_or_else(|| received.file_name.clone()),
        source: labels.source.unwrap_or_else(|| received.file_name.clone()),
        collection: labels.collection,
        chunking: labels.chunking,
        url: labels.url,
        confidentiality: labels.confidentiality,
        received,
    };
    Ok(respond(state.library.bring(&caller, claim.as_ref(), new, &HttpTenancyPresenter).await?))
}

/// List documents, newest first.
#[utoipa::path(get, path = "/v1/documents", tag = "documents",
    params(("collection" = Option<String>, Query, description = "Only of this collection"),
        ("status" = Option<String>, Query, description = "queued, processing, ready or failed"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = DocumentPage)))]
pub async fn list_documents(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<DocumentPage>, Problem> {
    let collection = query.text("collection");
    let status = query.value::<DocumentStatus>("status");
    let name = collection.as_deref();
    let bound = format!("documents {} {}", name.unwrap_or_default(), status.map_or("", DocumentStatus::as_str));
    let page = IdPage::read(&state, caller.actor.tenant_id, bound, query)?;
    let before = page.request.after.map(DocumentId);
    let mut rows = state.library.list(&caller, name, status, before, page.request.limit).await?;
    let next = page.finish(&state, &mut rows, |document| document.id.0);
    Ok(Json(DocumentPage { items: rows.iter().map(DocumentBody::from).collect(), next }))
}

/// Get a document.
#[utoipa::path(get, path = "/v1/documents/{id}", tag = "documents",
    params(("id" = Uuid, Path, description = "The document")),
    responses(
        (status = 200, description = "The document", body = DocumentBody)))]
pub async fn get_document(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Json<DocumentBody>, Problem> {
    let document = state.library.read(&caller, DocumentId(id)).await?;
    Ok(Json(DocumentBody::from(&document)))
}

/// Remove a document, its text, its passages and what follows from them.
#[utoipa::path(delete, path = "/v1/documents/{id}", tag = "documents",
    params(("id" = Uuid, Path, description = "The document"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: a second time there is nothing to remove")),
    responses(
        (status = 200, description = "What was removed", body = DocumentBody)))]
pub async fn delete_document(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    let removed = state.library.remove(&caller, claim.as_ref(), DocumentId(id), &HttpTenancyPresenter).await?;
    Ok(respond(removed))
}

/// Read the passages of a document in order.
#[utoipa::path(get, path = "/v1/documents/{id}/passages", tag = "documents",
    params(("id" = Uuid, Path, description = "The document"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = PassagePage)))]
pub async fn list_passages(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
) -> Result<Json<PassagePage>, Problem> {
    let page = IdPage::read(&state, caller.actor.tenant_id, format!("passages|{id}"), query)?;
    // The position is an ordinal, carried where other lists carry an id.
    let from = page.request.after.map_or(0, |last| u32::try_from(last.as_u128()).unwrap_or(u32::MAX).saturating_add(1));
    let mut rows = state.library.passages(&caller, DocumentId(id), from, page.request.limit).await?;
    let next = page.finish(&state, &mut rows, |chunk| Uuid::from_u128(chunk.ordinal.into()));
    Ok(Json(PassagePage { items: rows.into_iter().map(PassageBody::from).collect(), next }))
}

/// List the collections and how their documents are cut.
#[utoipa::path(get, path = "/v1/collections", tag = "documents",
    responses(
        (status = 200, description = "The collections", body = CollectionList)))]
pub async fn list_collections(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
) -> Result<Json<CollectionList>, Problem> {
    caller.require_scope(Scope::KnowledgeRead)?;
    let found = state.library.documents.collections(caller.actor.tenant_id).await.map_err(UseCaseError::from)?;
    Ok(Json(CollectionList { items: found.into_iter().map(CollectionBody::from).collect() }))
}
