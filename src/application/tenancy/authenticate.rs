//! Authenticate: from a bearer credential to the actor it speaks for.

use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::{ApiKeyId, TenantId};
use docket_domain::principal::Actor;
use moka::sync::Cache;

use super::api_key::{MARK, PresentedKey};
use super::credential_memory::CredentialMemory;
use crate::application::error::UseCaseError;
use crate::application::ports::key_store::KeyRecord;
use crate::application::ports::token_verifier::TokenError;
use crate::application::ports::{Clock, KeyStore, TokenVerifier};

/// The one answer to every bad key, so that nothing is learnt from the difference.
const BAD_KEY: &str = "the API key is not valid: it is unknown, expired or revoked";
/// How many keys' last use is remembered at most.
const CACHE_CAPACITY: u64 = 100_000;

/// Verifies credentials; one per process.
///
/// A key that was found is remembered for a short time, so that a request costs no round trip. Revocation on this node
/// takes effect at once ([`Authenticator::forget`]); other nodes follow when their memory of the key runs out.
pub struct Authenticator {
    keys: Arc<dyn KeyStore>,
    tokens: Option<Arc<dyn TokenVerifier>>,
    clock: Arc<dyn Clock>,
    memory: Arc<CredentialMemory>,
    touched: Cache<ApiKeyId, ()>,
}

impl Authenticator {
    /// An authenticator that remembers keys for `memory` (zero: never).
    pub fn new(
        keys: Arc<dyn KeyStore>,
        tokens: Option<Arc<dyn TokenVerifier>>,
        clock: Arc<dyn Clock>,
        memory: Duration,
    ) -> Self {
        Self::with_memory(keys, tokens, clock, Arc::new(CredentialMemory::new(memory)))
    }

    /// An authenticator that shares its memory with the token verifier.
    pub fn with_memory(
        keys: Arc<dyn KeyStore>,
        tokens: Option<Arc<dyn TokenVerifier>>,
        clock: Arc<dyn Clock>,
        memory: Arc<CredentialMemory>,
    ) -> Self {
        let touched = Cache::builder().max_capacity(CACHE_CAPACITY).time_to_live(Duration::from_mins(1)).build();
        Self { keys, tokens, clock, memory, touched }
    }

    /// What this node remembers, for those who change what it remembers.
    pub fn memory(&self) -> Arc<CredentialMemory> {
        self.memory.clone()
    }

    /// The actor that a bearer credential speaks for.
    pub async fn authenticate(&self, credential: &str) -> Result<Actor, UseCaseError> {
        if credential.starts_with(MARK) {
            return self.by_key(credential).await;
        }
        let Some(tokens) = &self.tokens else {
            return Err(UseCaseError::Unauthenticated("the credential is not an API key of this service"));
        };
        tokens.verify(credential).await.map_err(|error| match error {
            TokenError::Rejected(why) => UseCaseError::InvalidToken(why),
            TokenError::Powerless(why) => UseCaseError::PowerlessToken(why),
            TokenError::KeysUnavailable => UseCaseError::KeysUnavailable,
            TokenError::Store(store) => UseCaseError::Store(store),
        })
    }

    /// Forgets a key at once, after it was revoked or its principal changed.
    pub fn forget(&self, prefix: &str) {
        self.memory.forget(prefix);
    }

    /// Forgets every key of a tenant, after the tenant was suspended or a principal changed.
    pub fn forget_tenant(&self, tenant: TenantId) {
        self.memory.forget_tenant(tenant);
    }

    async fn by_key(&self, credential: &str) -> Result<Actor, UseCaseError> {
        let key = PresentedKey::parse(credential).ok_or(UseCaseError::Unauthenticated(BAD_KEY))?;
        let record = if let Some(record) = self.memory.key(key.prefix) {
            record
        } else {
            let start = self.memory.begin();
            let found = self.keys.find(key.prefix).await?.ok_or(UseCaseError::Unauthenticated(BAD_KEY))?;
            let found = Arc::new(found);
            // Remembered only for whoever knows the secret, so that guessing cannot fill the memory.
            if key.matches(&found.secret_hash) {
                self.memory.remember_key(start, key.prefix, found.clone());
            }
            found
        };
        let now = self.clock.now();
        let expired = record.expires_at.is_some_and(|expires_at| expires_at <= now);
        if !key.matches(&record.secret_hash) || record.blocked || expired {
            return Err(UseCaseError::Unauthenticated(BAD_KEY));
        }
        self.note_use(&record, now);
        Ok(Actor {
            tenant_id: record.tenant_id,
            principal_id: record.principal_id,
            kind: record.kind,
            roles: record.roles,
            scopes: record.scopes.clone(),
            on_behalf_of: None,
        })
    }

    /// Notes the use of a key, at most once a minute and never in the way of the request.
    fn note_use(&self, record: &KeyRecord, now: time::OffsetDateTime) {
        if self.touched.contains_key(&record.key_id) {
            return;
        }
        self.touched.insert(record.key_id, ());
        let (keys, tenant, key) = (self.keys.clone(), record.tenant_id, record.key_id);
        tokio::spawn(async move {
            if let Err(error) = keys.touch(tenant, key, now).await {
                tracing::debug!(%error, "the last use of a key was not noted");
            }
        });
    }
}
