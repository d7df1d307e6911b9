//! Deprecated routes: they work as before and say until when (RFC 9745 `Deprecation`, RFC 8594 `Sunset`).

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::LINK;

use super::case_list::{CasePage, list_cases};
use super::extract::{Authenticated, Query};
use super::problem::Problem;
use super::state::ApiState;

/// When `GET /v1/cases/search` became deprecated: 2026-11-01T00:00:00Z as a structured-field date (RFC 9745, section 2.1).
const DEPRECATED_SINCE: HeaderValue = HeaderValue::from_static("@1793491200");
/// When it will be gone, at the earliest.
const SUNSET: HeaderValue = HeaderValue::from_static("Tue, 01 Jun 2027 00:00:00 GMT");
/// What to use instead.
const SUCCESSOR: HeaderValue = HeaderValue::from_static("</v1/cases>; rel=\"successor-version\"");

/// Search cases. Deprecated: use `GET /v1/cases?q=...`, which takes the same parameters.
#[utoipa::path(get, path = "/v1/cases/search", tag = "cases",
    params(("q" = Option<String>, Query, description = "As for GET /v1/cases, with all its other parameters")),
    responses(
        (status = 200, description = "A page", body = CasePage<'static>, headers(("Deprecation" = String), ("Sunset" = String), ("Link" = String)))))]
#[deprecated = "use list_cases"]
pub async fn search_cases(state: State<ApiState>, caller: Authenticated, query: Query) -> Result<Response, Problem> {
    let mut response = list_cases(state, caller, query).await?;
    let headers = response.headers_mut();
    headers.insert("deprecation", DEPRECATED_SINCE);
    headers.insert("sunset", SUNSET);
    headers.append(LINK, SUCCESSOR);
    Ok(response)
}
