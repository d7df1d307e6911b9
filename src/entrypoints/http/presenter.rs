//! Words the answers of writes before they are stored, and sends stored ones.

use axum::body::Body;
use axum::response::Response;
use docket_domain::case::{Case, Refusal};
use http::header::{CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use uuid::Uuid;

use super::case_body::CaseBody;
use super::problem_from::refused;
use super::state::ApiState;
use crate::application::cases::transition_case::refusal_status;
use crate::application::request::{Presenter, Rendered, Written};

/// Where the answer of a write points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// Nothing new: 200.
    Nothing,
    /// The case itself: 201 and its path.
    Case,
    /// Something on the case, under this segment: 201 and its path.
    OnCase(&'static str),
    /// The case is gone: 200 with its last form.
    Deleted,
}

/// Renders for HTTP.
pub struct HttpPresenter<'a> {
    /// For absolute problem types.
    pub public_url: &'a str,
    /// For the problem's instance.
    pub request_id: &'a str,
    /// What the request creates.
    pub created: Created,
}

impl<'a> HttpPresenter<'a> {
    /// A presenter for one request.
    pub fn new(state: &'a ApiState, request_id: &'a str, created: Created) -> Self {
        Self { public_url: &state.public_url, request_id, created }
    }
}

impl Presenter for HttpPresenter<'_> {
    fn changed(&self, case: &Case, created: Option<Uuid>) -> Rendered {
        let id = case.id;
        let (status, location) = match (self.created, created) {
            (Created::Case, _) => (201, Some(format!("/v1/cases/{id}"))),
            (Created::OnCase(segment), Some(row)) => (201, Some(format!("/v1/cases/{id}/{segment}/{row}"))),
            _ => (200, None),
        };
        let etag = (self.created != Created::Deleted).then(|| case.etag());
        let body = serde_json::to_string(&CaseBody::new(case, created)).unwrap_or_default();
        Rendered { status, etag, location, body }
    }

    fn refused(&self, refusal: &Refusal) -> Rendered {
        let body = refused(refusal).to_json(self.public_url, self.request_id).to_string();
        Rendered { status: refusal_status(refusal), etag: None, location: None, body }
    }
}

/// The response for a write that was carried out or replayed.
pub fn respond(written: Written) -> Response {
    let mut response = show(written.rendered);
    if written.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// The response that shows what was rendered.
pub fn show(rendered: Rendered) -> Response {
    let Rendered { status, etag, location, body } = rendered;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(value) = etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(ETAG, value);
    }
    if let Some(value) = location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(LOCATION, value);
    }
    response
}
