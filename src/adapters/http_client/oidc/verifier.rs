//! Verifies a bearer token: form, key, signature, claims, and then the principal behind it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::principal::Actor;
use docket_domain::tenancy::scopes_for;

use super::claims::ClaimPolicy;
use super::key_source::{KeySource, NoKey};
use super::settings::{OidcSettings, RoleNames, SettingsError, algorithms};
use super::token::{self, HeaderPolicy, UnverifiedToken};
use crate::application::ports::token_verifier::TokenError;
use crate::application::ports::{Clock, IdentityAdmission, TokenVerifier};
use crate::faults::Fault;

const UNKNOWN_KEY: &str = "the token is signed with a key that its issuer does not publish";
const BAD_SIGNATURE: &str = "the token's signature is not valid";

/// [`TokenVerifier`] for one issuer.
pub struct OidcVerifier {
    header: HeaderPolicy,
    claims: ClaimPolicy,
    keys: Arc<KeySource>,
    admission: Arc<dyn IdentityAdmission>,
    clock: Arc<dyn Clock>,
}

impl OidcVerifier {
    /// A verifier with the keys of `keys`, whose identities become principals through `admission`.
    ///
    /// # Errors
    /// When a setting names an algorithm or a role that cannot be used.
    pub fn new(
        settings: &OidcSettings,
        keys: Arc<KeySource>,
        admission: Arc<dyn IdentityAdmission>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 4);
        let header =
            HeaderPolicy { algorithms: algorithms(&settings.algorithms)?, types: settings.token_types.clone() };
        let claims = ClaimPolicy {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            roles_claim: settings.roles_claim.clone(),
            role_names: RoleNames::new(&settings.role_names)?,
            tenant_claim: settings.tenant_claim.clone(),
            clock_skew: seconds(settings.clock_skew),
            max_lifetime: seconds(settings.max_lifetime),
        };
        Ok(Self { header, claims, keys, admission, clock })
    }

    async fn verify_signature(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenError> {
        let key = self.keys.find(token.key_id.as_deref(), token.algorithm).await.map_err(|none| match none {
            NoKey::Unknown => TokenError::Rejected(UNKNOWN_KEY),
            NoKey::Unavailable => TokenError::KeysUnavailable,
        })?;
        match jsonwebtoken::crypto::verify(token.signature, token.signed, &key, token.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) if Fault::TokenSignatureIgnored.is_seeded() => Ok(()),
            Ok(false) | Err(_) => Err(TokenError::Rejected(BAD_SIGNATURE)),
        }
    }
}

#[async_trait]
impl TokenVerifier for OidcVerifier {
    async fn verify(&self, token: &str) -> Result<Actor, TokenError> {
        let token = token::parse(token, &self.header).map_err(TokenError::Rejected)?;
        self.verify_signature(&token).await?;
        let identity = self.claims.check(&token.claims, self.clock.now())?;
        let admitted = self.admission.admit(&identity).await?;
        Ok(Actor {
            tenant_id: admitted.tenant_id,
            principal_id: admitted.principal_id,
            kind: admitted.kind,
            roles: identity.roles,
            scopes: scopes_for(identity.roles),
            on_behalf_of: None,
        })
    }
}
