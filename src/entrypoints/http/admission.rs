//! Admission: authenticates a request once, holds it against the rate limits, and leaves the caller for the handlers.
//!
//! 1. An address that kept guessing is refused before anything is looked up.
//! 2. The credential is verified; a failure counts against the address.
//! 3. The principal's and the tenant's allowance are charged; the answer says what is left.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue};

use super::extract::authenticated::authenticate;
use super::middleware::ClientAddress;
use super::problem::{Problem, ProblemKind};
use super::rate_limits::Exceeded;
use super::state::ApiState;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The layer around every route of the API.
pub async fn admit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let address = parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
    if let Err(exceeded) = state.limits.check_address(address) {
        return too_many(exceeded).into_response();
    }
    let caller = match authenticate(&parts, &state).await {
        Ok(caller) => caller,
        Err(problem) => {
            if problem.kind == ProblemKind::Unauthenticated {
                state.limits.note_failure(address);
            }
            return problem.into_response();
        }
    };
    let admitted = state.limits.admit(&caller.actor);
    let mut response = match admitted {
        Ok(_) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(exceeded) => too_many(exceeded).into_response(),
    };
    let (left, wait) = admitted.map_or_else(|exceeded| (0, exceeded.retry_after_seconds), |left| (left, 1));
    let headers = response.headers_mut();
    headers.insert(RATE_LIMIT_POLICY, state.limits.policy());
    if let Ok(value) = HeaderValue::try_from(format!("\"principal\";r={left};t={wait}")) {
        headers.insert(RATE_LIMIT, value);
    }
    response
}

fn too_many(exceeded: Exceeded) -> Problem {
    let Exceeded { whose, retry_after_seconds } = exceeded;
    let detail = match whose {
        "address" => "too many failed authentications came from your address; wait a minute".to_owned(),
        _ => format!("the allowance of your {whose} is used up; wait {retry_after_seconds} s"),
    };
    Problem::new(ProblemKind::TooManyRequests, detail).with_header(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
}
