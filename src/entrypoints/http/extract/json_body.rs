//! A JSON body: read strictly, kept as a value for the form and as canonical bytes for the fingerprint.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use docket_domain::number;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::application::error::{Invalid, UseCaseError};
use crate::entrypoints::http::problem::{Problem, ProblemKind};

/// The body as JSON; an absent body is an empty object.
#[derive(Debug, Clone)]
pub struct JsonBody {
    /// The value.
    pub value: Value,
    /// Its canonical form (RFC 8785).
    pub canonical: Vec<u8>,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(CONTENT_TYPE).cloned();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| body_problem(rejection.status()))?;
        if bytes.is_empty() {
            return Ok(Self { value: Value::Object(serde_json::Map::new()), canonical: b"{}".to_vec() });
        }
        let declared = content_type.as_ref().and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !is_json(declared) {
            let detail = "the body must come with `Content-Type: application/json`";
            return Err(Problem::new(ProblemKind::UnsupportedMediaType, detail));
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let what = if std::str::from_utf8(&bytes).is_err() { "not valid UTF-8" } else { "not valid JSON" };
            Problem::new(ProblemKind::MalformedRequest, format!("the body is {what} at line {line}, column {column}"))
        })?;
        // Before the canonical form, which would take it for its neighbour.
        if let Some(pointer) = number::first_inexact(&value) {
            return Err(UseCaseError::Invalid(vec![Invalid::new(pointer, number::EXACT_DETAIL)]).into());
        }
        let canonical = serde_jcs::to_vec(&value).map_err(|_| {
            Problem::new(ProblemKind::MalformedRequest, "the body holds a number that JSON cannot express")
        })?;
        Ok(Self { value, canonical })
    }
}

/// `application/json` or any `+json` type, with or without parameters; the only charset is UTF-8.
pub fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let structured = essence.starts_with("application/") && essence.ends_with("+json");
    let charset_fits = parts.all(|parameter| {
        let lower = parameter.to_ascii_lowercase();
        !lower.starts_with("charset=") || lower.trim_start_matches("charset=").trim_matches('"') == "utf-8"
    });
    (essence == "application/json" || structured) && charset_fits
}

fn body_problem(status: http::StatusCode) -> Problem {
    if status == http::StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(ProblemKind::PayloadTooLarge, "the body is larger than this resource accepts")
    } else {
        Problem::new(ProblemKind::MalformedRequest, "the body ended early or could not be read")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognised_with_parameters_and_suffixes() {
        for fine in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
            "application/json; charset=\"UTF-8\"",
        ] {
            assert!(is_json(fine), "{fine}");
        }
        for bad in ["", "text/plain", "application/jsonp", "application/json; charset=latin1", "text/json+x"] {
            assert!(!is_json(bad), "{bad}");
        }
    }
}
