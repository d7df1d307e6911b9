//! From what a use case ended with to the problem that a client reads.

use http::HeaderValue;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::json;

use docket_domain::case::Refusal;

use super::problem::{Problem, ProblemKind as Kind};
use crate::application::cases::transition_case::refusal_status;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::StoreError;
use crate::application::ports::language_model::ModelError;

impl From<UseCaseError> for Problem {
    fn from(error: UseCaseError) -> Self {
        let detail = error.to_string();
        match error {
            UseCaseError::NotFound(_) => Self::new(Kind::NotFound, detail),
            UseCaseError::MissingScope(_) | UseCaseError::Forbidden(_) => Self::new(Kind::Forbidden, detail),
            UseCaseError::KeyMissing => Self::new(Kind::IdempotencyKeyMissing, detail),
            UseCaseError::KeyReused => Self::new(Kind::IdempotencyKeyReused, detail),
            UseCaseError::KeyInFlight => retry(Self::new(Kind::IdempotencyRequestInFlight, detail), 1),
            UseCaseError::PreconditionRequired => Self::new(Kind::PreconditionRequired, detail),
            UseCaseError::PreconditionFailed { current_version } => {
                Self::new(Kind::PreconditionFailed, detail).with_extension("current_version", current_version)
            }
            UseCaseError::Refused { refusal, .. } => refused(&refusal),
            UseCaseError::Invalid(errors) => invalid(Kind::ValidationFailed, detail, errors),
            UseCaseError::InvalidQuery(errors) => invalid(Kind::InvalidQuery, detail, errors),
            UseCaseError::InvalidCursor(_) => Self::new(Kind::InvalidCursor, detail),
            UseCaseError::Conflict(_) => Self::new(Kind::Conflict, detail),
            UseCaseError::Duplicate(_) => Self::new(Kind::Duplicate, detail),
            UseCaseError::TooLarge { .. } => Self::new(Kind::PayloadTooLarge, detail),
            UseCaseError::UnsupportedMedia(_) => Self::new(Kind::UnsupportedMediaType, detail),
            UseCaseError::RateLimited { retry_after_seconds } => {
                retry(Self::new(Kind::TooManyRequests, detail), retry_after_seconds)
            }
            UseCaseError::Contention | UseCaseError::LeaseLost | UseCaseError::SourcesGone => {
                retry(Self::new(Kind::ServiceUnavailable, detail), 1)
            }
            UseCaseError::Unauthenticated(_) => Self::new(Kind::Unauthenticated, detail)
                .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            UseCaseError::InvalidToken(why) => {
                challenge(Self::new(Kind::Unauthenticated, detail), "invalid_token", why)
            }
            UseCaseError::PowerlessToken(why) => {
                challenge(Self::new(Kind::Forbidden, detail), "insufficient_scope", why)
            }
            UseCaseError::KeysUnavailable => retry(Self::new(Kind::ServiceUnavailable, detail), 5),
            UseCaseError::BudgetExhausted { limit_nanos, spent_nanos, reserved_nanos, needed_nanos } => {
                Self::new(Kind::BudgetExhausted, detail)
                    .with_extension("limit_nanos", limit_nanos)
                    .with_extension("spent_nanos", spent_nanos)
                    .with_extension("reserved_nanos", reserved_nanos)
                    .with_extension("needed_nanos", needed_nanos)
            }
            UseCaseError::Unpriced(_) => Self::new(Kind::ModelUnavailable, detail),
            UseCaseError::Model(error) => {
                // What a provider said may hold parts of the request; it goes to the log and no further.
                tracing::warn!(%error, "no model answered");
                let detail = match error {
                    ModelError::TimedOut(_) => "no model answered in time",
                    ModelError::RateLimited { .. } => "the model provider is limiting the rate",
                    _ => "no model could answer",
                };
                retry(Self::new(Kind::ModelUnavailable, detail), 10)
            }
            UseCaseError::Store(store) => from_store(&store),
        }
    }
}

/// The problem for a refusal of the domain: 403 by role, 422 by input, 409 by state or guard.
pub fn refused(refusal: &Refusal) -> Problem {
    let detail = refusal.to_string();
    let guards = json!([{"guard": refusal.rule(), "detail": detail}]);
    let kind = match refusal_status(refusal) {
        403 => Kind::Forbidden,
        422 => Kind::ValidationFailed,
        _ => Kind::Conflict,
    };
    let problem = Problem::new(kind, detail.clone()).with_extension("guards", guards);
    match refusal.input_field() {
        Some(field) => problem.with_error(format!("/{field}"), detail),
        None => problem,
    }
}

fn invalid(kind: Kind, detail: String, errors: Vec<Invalid>) -> Problem {
    errors
        .into_iter()
        .fold(Problem::new(kind, detail), |problem, error| problem.with_error(error.pointer, error.detail))
}

fn from_store(error: &StoreError) -> Problem {
    // The cause is logged here, once, and goes no further.
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match error {
        StoreError::Unavailable(_) => {
            tracing::warn!(%cause, "the store is not available");
            retry(Problem::new(Kind::ServiceUnavailable, "the database cannot be reached at the moment"), 1)
        }
        StoreError::Full(_) => {
            tracing::error!(%cause, "the store has no space left");
            retry(Problem::new(Kind::InsufficientStorage, "the service has no space left to store this"), 30)
        }
        StoreError::Internal(_) => {
            tracing::error!(%cause, "the store failed");
            Problem::new(Kind::Internal, "the request could not be carried out; nothing was changed")
        }
    }
}

/// Says with which error a bearer token was turned away (RFC 6750, section 3); `why` is one of our own sentences, never
/// a part of the token.
fn challenge(problem: Problem, error: &str, why: &str) -> Problem {
    let value = HeaderValue::try_from(format!("Bearer error=\"{error}\", error_description=\"{why}\""));
    problem.with_header(WWW_AUTHENTICATE, value.unwrap_or_else(|_| HeaderValue::from_static("Bearer")))
}

fn retry(problem: Problem, seconds: u64) -> Problem {
    problem.with_header(RETRY_AFTER, HeaderValue::from(seconds))
}
