//! `/v1/cases`: create, get, change, delete; listing stands in `case_list`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::CaseId;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::case_body::{CaseBody, CreateCase, PatchCase, case_changes, new_case};
use super::extract::{Authenticated, JsonBody, NoQuery, PathId, WriteHeaders};
use super::presenter::{Created, HttpPresenter, respond};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::cases::create_case::create_case;
use crate::application::cases::delete_case::delete_case;
use crate::application::cases::edit_case::edit_case;
use crate::application::cases::read_case::read_case;
use crate::application::cases::unit_of_work::ChangeRequest;

/// Create a case: a draft that belongs to the caller.
#[utoipa::path(post, path = "/v1/cases", tag = "cases", request_body = CreateCase,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 201, description = "Created", body = CaseBody<'static>, headers(("ETag" = String), ("Location" = String)))))]
pub async fn post_case(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let presenter = HttpPresenter::new(&state, &caller.request_id, Created::Case);
    let written = create_case(&state.writing, &caller, claim.as_ref(), new_case(body.value), &presenter).await?;
    Ok(respond(written))
}

/// Get a case. Reads of restricted cases are recorded in the audit trail.
#[utoipa::path(get, path = "/v1/cases/{id}", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"), ("If-None-Match" = Option<String>, Header, description = "The ETag you have")),
    responses(
        (status = 200, description = "The case", body = CaseBody<'static>, headers(("ETag" = String))),
        (status = 304, description = "You have the current version")))]
pub async fn get_case(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let case = read_case(state.cases.as_ref(), &state.writing, &caller, CaseId(id), "case.read").await?;
    let etag = case.etag();
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // GET compares weakly (RFC 9110, section 13.1.2): a weak form of our tag matches, too.
    let mut tags = known.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
    let mut response = if known.trim() == "*" || tags.any(|tag| tag == etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(CaseBody::new(&case, None)).into_response()
    };
    if let Ok(value) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    Ok(response)
}

/// Change a case's fields, or set and lift its legal hold.
#[utoipa::path(patch, path = "/v1/cases/{id}", tag = "cases", request_body = PatchCase,
    params(("id" = Uuid, Path, description = "The case"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional here: If-Match already keeps a retry from doubling")),
    responses(
        (status = 200, description = "The case after the change", body = CaseBody<'static>, headers(("ETag" = String)))))]
pub async fn patch_case(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let presenter = HttpPresenter::new(&state, &caller.request_id, Created::Nothing);
    let request = ChangeRequest {
        caller: &caller,
        case_id: CaseId(id),
        if_match: headers.if_match,
        claim: claim.as_ref(),
        dry_run: false,
        presenter: &presenter,
        action: "case.update",
        completes: None,
    };
    Ok(respond(edit_case(&state.writing, request, &case_changes(body.value)).await?))
}

/// Delete a draft or withdrawn case; its audit trail stays.
#[utoipa::path(delete, path = "/v1/cases/{id}", tag = "cases",
    params(("id" = Uuid, Path, description = "The case"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional: with it a retry gets the first answer instead of 404")),
    responses(
        (status = 200, description = "The case as it was last", body = CaseBody<'static>)))]
pub async fn remove_case(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    let presenter = HttpPresenter::new(&state, &caller.request_id, Created::Deleted);
    let request = ChangeRequest {
        caller: &caller,
        case_id: CaseId(id),
        if_match: headers.if_match,
        claim: claim.as_ref(),
        dry_run: false,
        presenter: &presenter,
        action: "case.delete",
        completes: None,
    };
    Ok(respond(delete_case(&state.writing, request).await?))
}
