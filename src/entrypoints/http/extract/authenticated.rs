//! The authenticated caller of a request.

use axum::extract::{FromRef, FromRequestParts};
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{Actor, PrincipalKind};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::application::error::UseCaseError;
use crate::application::request::Caller;
use crate::entrypoints::http::problem::{Problem, ProblemKind};
use crate::entrypoints::http::state::ApiState;
use crate::telemetry::RequestContext;

/// Names the person a program (a principal of kind `service`) acts for; recorded in the audit trail, grants nothing.
const ON_BEHALF_OF: &str = "docket-on-behalf-of";

/// The caller, authenticated by `Authorization: Bearer`.
#[derive(Debug, Clone)]
pub struct Authenticated(pub Caller);

impl<S> FromRequestParts<S> for Authenticated
where
    ApiState: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The rate limiter in front of the handlers has authenticated already and left the caller here.
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(Self(caller.clone()));
        }
        let state = ApiState::from_ref(state);
        let actor = identify(parts, &state).await?;
        let caller = caller(parts, actor, &state).await?;
        parts.extensions.insert(caller.clone());
        Ok(Self(caller))
    }
}

/// Authenticates a request by its headers.
pub async fn identify(parts: &Parts, state: &ApiState) -> Result<Actor, Problem> {
    let missing = UseCaseError::Unauthenticated("send an API key or token as `Authorization: Bearer <credential>`");
    let credential = credential(&parts.headers).ok_or(missing)?;
    let actor = state.authenticator.authenticate(credential).await?;
    if let Some(context) = parts.extensions.get::<RequestContext>() {
        context.identify(actor.tenant_id.to_string(), actor.principal_id.to_string());
    }
    Ok(actor)
}

/// The caller of an authenticated request, with the person that it names.
pub async fn caller(parts: &Parts, mut actor: Actor, state: &ApiState) -> Result<Caller, Problem> {
    if let Some(value) = parts.headers.get(ON_BEHALF_OF) {
        actor.on_behalf_of = Some(person(value, &actor, state).await?);
    }
    let context = parts.extensions.get::<RequestContext>().cloned().unwrap_or_default();
    Ok(Caller { actor, request_id: context.request_id, trace_id: context.trace_id, traceparent: context.traceparent })
}

/// The principal of the program's own tenant that the header names. The audit trail must not name people who do not exist, nor
/// take a person for a program.
async fn person(value: &HeaderValue, program: &Actor, state: &ApiState) -> Result<PrincipalId, Problem> {
    if program.kind != PrincipalKind::Service {
        let detail = "Docket-On-Behalf-Of is for principals of kind `service`; leave it out";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    let nobody = || {
        let detail = "Docket-On-Behalf-Of must be the UUID of a principal of your tenant that is not disabled";
        Problem::new(ProblemKind::MalformedRequest, detail)
    };
    let id = value.to_str().ok().and_then(|text| text.parse::<PrincipalId>().ok()).ok_or_else(nobody)?;
    let found = state.tenancy.store.principal(program.tenant_id, id).await.map_err(UseCaseError::from)?;
    found.filter(|person| !person.disabled).map(|person| person.id).ok_or_else(nobody)
}

/// The credential that a request carries.
pub fn credential(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer)
}

/// The credential in `Bearer <credential>`; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, credential) = header.split_once(' ')?;
    let credential = credential.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !credential.is_empty()).then_some(credential)
}
