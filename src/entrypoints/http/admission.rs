//! Admission: authenticates a request once, holds it against the rate limits, and leaves the caller for the handlers.
//!
//! 1. An address that kept guessing is refused before anything is looked up.
//! 2. The credential is verified; a failure counts against the address.
//! 3. The principal's and the tenant's allowance are charged; the answer says what is left.
//! 4. The principal takes one of its places, until the head of the answer is ready.
//! 5. The person that a program acts for is looked up.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use docket_domain::principal::Actor;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::extract::authenticated::{caller, identify};
use super::middleware::ClientAddress;
use super::problem::{Problem, ProblemKind};
use super::rate_limits::Exceeded;
use super::state::ApiState;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The layer around every route of the API.
pub async fn admit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let address = parts.extensions.get::<ClientAddress>().and_then(|address| address.0);
    if let Err(exceeded) = state.limits.check_address(address) {
        return too_many(exceeded).into_response();
    }
    let actor = match identify(&parts, &state).await {
        Ok(actor) => actor,
        Err(problem) => {
            if problem.kind == ProblemKind::Unauthenticated {
                state.limits.note_failure(address);
            }
            return problem.into_response();
        }
    };
    let admitted = state.limits.admit(&actor);
    let mut response = match admitted {
        Ok(_) => work(&state, actor, parts, body, next).await,
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

/// Works on a request whose cost has been charged.
async fn work(state: &ApiState, actor: Actor, mut parts: Parts, body: Body, next: Next) -> Response {
    let _place = match state.limits.enter(&actor) {
        Ok(place) => place,
        Err(exceeded) => return too_many(exceeded).into_response(),
    };
    match caller(&parts, actor, state).await {
        Ok(caller) => parts.extensions.insert(caller),
        Err(problem) => return problem.into_response(),
    };
    next.run(Request::from_parts(parts, body)).await
}

fn too_many(exceeded: Exceeded) -> Problem {
    let Exceeded { whose, retry_after_seconds } = exceeded;
    let detail = match whose {
        "address" => "too many failed authentications came from your address; wait a minute".to_owned(),
        "places" => "as many of your requests are being worked on as a principal may have at once".to_owned(),
        _ => format!("the allowance of your {whose} is used up; wait {retry_after_seconds} s"),
    };
    Problem::new(ProblemKind::TooManyRequests, detail).with_header(RETRY_AFTER, HeaderValue::from(retry_after_seconds))
}
