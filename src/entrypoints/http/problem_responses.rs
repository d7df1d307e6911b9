//! Which problems each operation may answer with, written into the OpenAPI document from one place.
//!
//! Nearly all follow from the form of the operation: whoever names a resource can be told that there is none, whoever sends
//! a body that it is too large, whoever sends a version that it is stale. A handler names only what does not follow, by
//! its status alone; what such an answer looks like is filled in here, from the kinds of [`ProblemKind`].

use std::collections::BTreeSet;

use http::StatusCode;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, Response, ResponseBuilder};

use super::problem::ProblemKind;

/// Any request: its head may be malformed or too large, its credentials missing, powerless or used too often; and the service,
/// its database or the disk may fail it, reads too, because denials and looks at restricted cases are recorded.
const ANY: [StatusCode; 9] = [
    StatusCode::BAD_REQUEST,
    StatusCode::UNAUTHORIZED,
    StatusCode::FORBIDDEN,
    StatusCode::URI_TOO_LONG,
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::INSUFFICIENT_STORAGE,
];
/// What is named in the path may not be there, or not for the caller.
const NAMED: [StatusCode; 1] = [StatusCode::NOT_FOUND];
/// A body may arrive too slowly, be too large, of another kind, or hold something else than it should.
const SENT: [StatusCode; 4] = [
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    StatusCode::UNPROCESSABLE_ENTITY,
];
/// The version that the caller saw may be stale or not be said.
const VERSIONED: [StatusCode; 2] = [StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED];
/// The key may belong to a request that is running or to another one; and what takes a key changes something, which the
/// present state may not allow.
const KEYED: [StatusCode; 2] = [StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];

/// Adds to every operation the problems it may answer with, each a reference to one description for the whole document.
pub fn with_problems(mut document: Document) -> Document {
    let mut told = BTreeSet::new();
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            for status in problems_of(operation) {
                let reference = Ref::from_response_name(name_of(status));
                operation.responses.responses.insert(status.as_str().to_owned(), reference.into());
                told.insert(status);
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.responses.extend(told.into_iter().map(|status| (name_of(status), RefOr::T(response_of(status)))));
    document
}

/// The statuses that follow from the operation's form, and those that its handler names.
fn problems_of(operation: &Operation) -> BTreeSet<StatusCode> {
    let mut problems = BTreeSet::from(ANY);
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    for parameter in parameters {
        match (&parameter.parameter_in, parameter.name.as_str()) {
            (ParameterIn::Path, _) => problems.extend(NAMED),
            (ParameterIn::Header, "If-Match") => problems.extend(VERSIONED),
            (ParameterIn::Header, "Idempotency-Key") => problems.extend(KEYED),
            _ => {}
        }
    }
    if operation.request_body.is_some() {
        problems.extend(SENT);
    }
    let named = operation.responses.responses.keys().filter_map(|status| status.parse::<StatusCode>().ok());
    problems.extend(named.filter(|status| status.is_client_error() || status.is_server_error()));
    problems
}

/// `PreconditionFailed` for 412: what generators of clients make a name of.
fn name_of(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect()
}

fn response_of(status: StatusCode) -> Response {
    let kinds = ProblemKind::ALL.iter().filter(|kind| kind.status() == status);
    let told: Vec<_> = kinds.map(|kind| format!("`{}`: {}", kind.slug(), kind.title())).collect();
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description(told.join("; ")).content("application/problem+json", problem);
    let header = |about| {
        HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .description(Some(about))
            .build()
    };
    match status {
        StatusCode::UNAUTHORIZED => {
            response.header(WWW_AUTHENTICATE.as_str(), header("What to authenticate with (RFC 6750)"))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => {
            response.header(RETRY_AFTER.as_str(), header("Whole seconds to wait"))
        }
        _ => response,
    }
    .build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::entrypoints::http::router;

    use super::*;

    /// The problems of an operation of the document, as numbers.
    fn problems(method: &str, path: &str) -> Vec<u16> {
        let document = serde_json::to_value(router::document()).unwrap();
        let answers = document["paths"][path][method]["responses"].as_object().unwrap();
        answers.keys().map(|status| status.parse().unwrap()).filter(|status| *status >= 400).collect()
    }

    #[test]
    fn the_problems_of_an_operation_follow_from_its_form_and_from_what_its_handler_names() {
        let any = [400, 401, 403, 414, 429, 431, 500, 503, 507];
        let with = |more: &[u16]| {
            let mut all = [&any[..], more].concat();
            all.sort_unstable();
            all
        };
        assert_eq!(problems("get", "/v1/whoami"), any);
        assert_eq!(problems("get", "/v1/cases"), any);
        assert_eq!(problems("get", "/v1/cases/{id}"), with(&[404]));
        assert_eq!(problems("post", "/v1/cases"), with(&[408, 409, 413, 415, 422]));
        assert_eq!(problems("patch", "/v1/cases/{id}"), with(&[404, 408, 409, 412, 413, 415, 422, 428]));
        assert_eq!(problems("delete", "/v1/cases/{id}"), with(&[404, 409, 412, 422, 428]));
        assert_eq!(problems("get", "/v1/cases/{id}/evidence/{evidence_id}/content"), with(&[404, 416]));
        assert_eq!(problems("post", "/v1/answers"), with(&[402, 404, 408, 409, 413, 415, 422]));
    }

    #[test]
    fn every_problem_that_is_told_is_one_of_the_documented_kinds_and_none_is_a_range() {
        let document = serde_json::to_value(router::document()).unwrap();
        let mut told = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                for status in operation["responses"].as_object().unwrap().keys() {
                    told.insert(status.parse::<u16>().unwrap_or_else(|_| panic!("{method} {path} answers {status}")));
                }
            }
        }
        told.retain(|status| *status >= 400);
        // Routing answers 405 for a path, not for an operation; nothing is refused for what the caller accepts.
        let elsewhere = [StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_ACCEPTABLE];
        let kinds = ProblemKind::ALL.iter().map(|kind| kind.status()).filter(|status| !elsewhere.contains(status));
        assert_eq!(told, kinds.map(|status| status.as_u16()).collect());
    }
}
