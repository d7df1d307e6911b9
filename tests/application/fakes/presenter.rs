//! A presenter that words answers so that a test can tell them apart.

use docket::application::cases::transition_case::refusal_status;
use docket::application::request::{Presenter, Rendered};
use docket_domain::case::{Case, Refusal};
use uuid::Uuid;

/// Shows the whole case, or the rule that refused.
pub struct PlainPresenter;

impl Presenter for PlainPresenter {
    fn changed(&self, case: &Case, created: Option<Uuid>) -> Rendered {
        let location = created.map(|id| format!("/created/{id}"));
        let body = serde_json::to_string(case).unwrap();
        Rendered { status: if location.is_some() { 201 } else { 200 }, etag: Some(case.etag()), location, body }
    }

    fn refused(&self, refusal: &Refusal) -> Rendered {
        let body = format!("{}: {refusal}", refusal.rule());
        Rendered { status: refusal_status(refusal), etag: None, location: None, body }
    }
}
