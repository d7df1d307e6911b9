//! Extractors: what every handler needs from a request, parsed once.

pub mod authenticated;
pub mod json_body;
pub mod query;
pub mod write_headers;

pub use authenticated::Authenticated;
pub use json_body::JsonBody;
pub use query::{NoQuery, Query};
pub use write_headers::WriteHeaders;

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use http::request::Parts;
use uuid::Uuid;

use super::problem::{Problem, ProblemKind};

/// An identifier in the path. One that is no UUID names nothing: 404, as for one that does not exist.
#[derive(Debug, Clone, Copy)]
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<axum::extract::Path<Uuid>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        let not_found =
            |_| Problem::new(ProblemKind::NotFound, "the identifier in the path is not a UUID of anything here");
        path.map(|axum::extract::Path(id)| Self(id)).map_err(not_found)
    }
}

/// Two identifiers in the path: the case and something on it.
#[derive(Debug, Clone, Copy)]
pub struct PathIds(pub Uuid, pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathIds {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<axum::extract::Path<(Uuid, Uuid)>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        let not_found =
            |_| Problem::new(ProblemKind::NotFound, "an identifier in the path is not a UUID of anything here");
        path.map(|axum::extract::Path((outer, inner))| Self(outer, inner)).map_err(not_found)
    }
}
