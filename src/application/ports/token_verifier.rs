//! The port for tokens that somebody else issued (OIDC).

use async_trait::async_trait;
use docket_domain::principal::Actor;

use super::StoreError;

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token is not valid here; the text is safe to show.
    #[error("{0}")]
    Rejected(&'static str),
    /// The token is valid and grants nothing here; the text is safe to show.
    #[error("{0}")]
    Powerless(&'static str),
    /// The issuer's signing keys cannot be had now, so nothing can be said about the token.
    #[error("the issuer's signing keys cannot be fetched at the moment")]
    KeysUnavailable,
    /// The principal cannot be looked up now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies bearer tokens.
///
/// Contract: accepts only tokens with a valid signature by a current key of the configured issuer, for the configured
/// audience, inside their time of validity give or take the clock skew, with a tenant that exists and at least one known
/// role; without such a role the token is [`TokenError::Powerless`]. The principal is created on first sight. Never accepts an unsigned token or one whose algorithm is not the key's.
#[async_trait]
pub trait TokenVerifier: Send + Sync + 'static {
    /// The actor that the token speaks for.
    async fn verify(&self, token: &str) -> Result<Actor, TokenError>;
}
