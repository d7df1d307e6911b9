//! What a use case can end with besides success; entrypoints turn each into their own form.

use docket_domain::budget::Unpriced;
use docket_domain::case::{Guard, Refusal};
use docket_domain::principal::Scope;

use crate::application::ports::StoreError;
use crate::application::ports::language_model::ModelError;
use crate::application::request::Rendered;

/// One invalid member of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// JSON Pointer (RFC 6901) into the input.
    pub pointer: String,
    /// What was wrong and what is allowed.
    pub detail: String,
}

impl Invalid {
    /// One invalid member.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Why a use case did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum UseCaseError {
    /// There is no such thing, or the actor may not know of it: the two look alike.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The credential lacks a scope.
    #[error("this credential lacks the scope `{0}`")]
    MissingScope(Scope),
    /// The actor's roles do not allow it in any state.
    #[error("{0}")]
    Forbidden(String),
    /// A write came without an idempotency key.
    #[error("send an Idempotency-Key header with every request that creates or transitions")]
    KeyMissing,
    /// The key was used for another request.
    #[error("this Idempotency-Key was used for a different request within its lifetime")]
    KeyReused,
    /// The same request is running at this moment.
    #[error("a request with this Idempotency-Key is running right now")]
    KeyInFlight,
    /// The client did not say which version it saw.
    #[error("say which version you saw: send If-Match with the ETag you got")]
    PreconditionRequired,
    /// The client saw another version.
    #[error("it is at version {current_version}, not at the one you named")]
    PreconditionFailed {
        /// The version to GET and look at.
        current_version: u64,
    },
    /// The domain refused; `rendered` is the stored answer when the refusal was recorded under a key.
    #[error("{refusal}")]
    Refused {
        /// The refusal.
        refusal: Refusal,
        /// The answer as stored, to be sent as it is.
        rendered: Option<Rendered>,
    },
    /// The input was invalid.
    #[error("{} field(s) are not valid", .0.len())]
    Invalid(Vec<Invalid>),
    /// A query parameter was invalid.
    #[error("{} query parameter(s) are not valid", .0.len())]
    InvalidQuery(Vec<Invalid>),
    /// The cursor does not belong to this query, this tenant or this service.
    #[error("the cursor was not issued for this query: {0}")]
    InvalidCursor(&'static str),
    /// The present state of the thing does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// A value that must be unique is taken.
    #[error("{0}")]
    Duplicate(String),
    /// The upload is larger than allowed.
    #[error("the upload is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The upload is of a kind that is not accepted.
    #[error("{0}")]
    UnsupportedMedia(String),
    /// Too many attempts or requests; wait.
    #[error("too many requests; wait {retry_after_seconds} s")]
    RateLimited {
        /// Whole seconds to wait.
        retry_after_seconds: u64,
    },
    /// Everything competed for the same row; the client may retry.
    #[error("what you want to change is changing too quickly; retry")]
    Contention,
    /// The job that this was the effect of is another worker's by now; nothing was changed.
    #[error("another worker has this job by now")]
    LeaseLost,
    /// A document was deleted while an answer was being made from it; the answer is not kept.
    #[error("a document that this answer was being made from was deleted meanwhile; retry for an answer without it")]
    SourcesGone,
    /// The credential is missing, unknown, expired or revoked.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// The bearer token was not accepted; the words say what is wrong with it and nothing else.
    #[error("{0}")]
    InvalidToken(&'static str),
    /// The bearer token is valid and grants nothing here.
    #[error("{0}")]
    PowerlessToken(&'static str),
    /// Nothing can be said about the bearer token, because its issuer's keys cannot be had.
    #[error("the issuer's signing keys cannot be fetched at the moment; retry")]
    KeysUnavailable,
    /// The tenant's budget for models does not cover what the call may cost.
    #[error(
        "the budget of this month is used up: {spent_nanos} of {limit_nanos} nano-dollars are spent, {reserved_nanos} reserved \
         for answers under way, and this one may cost {needed_nanos}"
    )]
    BudgetExhausted {
        /// The limit.
        limit_nanos: u64,
        /// What was spent.
        spent_nanos: u64,
        /// What is reserved.
        reserved_nanos: u64,
        /// What the call may cost at most.
        needed_nanos: u64,
    },
    /// A model is configured that has no price.
    #[error(transparent)]
    Unpriced(#[from] Unpriced),
    /// No model answered.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A store or service failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UseCaseError {
    /// A refusal that was not stored.
    pub fn refused(refusal: Refusal) -> Self {
        Self::Refused { refusal, rendered: None }
    }

    /// The guard that refused, if a guard did.
    pub const fn guard(&self) -> Option<Guard> {
        match self {
            Self::Refused { refusal: Refusal::GuardFailed { guard, .. }, .. } => Some(*guard),
            _ => None,
        }
    }
}
