//! What every use case knows of the request it serves, and how its answer is rendered before it is stored.

use docket_domain::case::{Case, Refusal};
use docket_domain::idempotency::{Fingerprint, IdempotencyKey};
use docket_domain::principal::{Actor, Scope};

use crate::application::error::UseCaseError;

/// Who asks, and the names under which the request is found again in traces, logs and the audit trail.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The authenticated actor.
    pub actor: Actor,
    /// The request id.
    pub request_id: String,
    /// The trace id, 32 hexadecimal digits.
    pub trace_id: String,
    /// The W3C traceparent to hand on to whoever reacts to the event.
    pub traceparent: Option<String>,
}

impl Caller {
    /// Fails unless the credential carries `scope`.
    pub fn require_scope(&self, scope: Scope) -> Result<(), UseCaseError> {
        if self.actor.has_scope(scope) { Ok(()) } else { Err(UseCaseError::MissingScope(scope)) }
    }
}

/// What the client said about the version it saw (RFC 9110, section 13.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// No header, `*`, or only weak tags: the client did not say.
    Absent,
    /// A strong tag of this form names a version.
    Version(u64),
    /// A strong tag that no version ever had.
    Foreign,
}

impl IfMatch {
    /// Holds the precondition against the current version: 428 when the client did not say, 412 when it saw another.
    pub fn check(self, current_version: u64) -> Result<(), UseCaseError> {
        match self {
            Self::Absent => Err(UseCaseError::PreconditionRequired),
            Self::Version(version) if version == current_version => Ok(()),
            Self::Version(_) | Self::Foreign => Err(UseCaseError::PreconditionFailed { current_version }),
        }
    }
}

/// The client's name for this operation, and what the operation is.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The key as sent.
    pub key: IdempotencyKey,
    /// What the request was.
    pub fingerprint: Fingerprint,
}

/// An answer ready to be sent and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The HTTP status.
    pub status: u16,
    /// The entity tag.
    pub etag: Option<String>,
    /// The path of what was created.
    pub location: Option<String>,
    /// The JSON body.
    pub body: String,
}

/// Renders answers before the transaction commits, because the stored answer is part of it.
///
/// The driving side implements this: the use case decides, the presenter words it.
pub trait Presenter: Send + Sync {
    /// The answer that shows `case` after the change; `created` is the id of what hangs on it now (note, evidence, link).
    fn changed(&self, case: &Case, created: Option<uuid::Uuid>) -> Rendered;
    /// The answer that explains a terminal refusal (409 or 422).
    fn refused(&self, refusal: &Refusal) -> Rendered;
}

/// What a write ends with: the answer, and whether it was stored by an earlier request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The answer to send.
    pub rendered: Rendered,
    /// Whether this is the stored answer of an earlier request with the same key.
    pub replayed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precondition_is_required_and_must_name_the_current_version() {
        assert!(IfMatch::Version(3).check(3).is_ok());
        assert!(matches!(IfMatch::Absent.check(3), Err(UseCaseError::PreconditionRequired)));
        for other in [IfMatch::Version(2), IfMatch::Version(4), IfMatch::Foreign] {
            assert!(matches!(other.check(3), Err(UseCaseError::PreconditionFailed { current_version: 3 })));
        }
    }
}
