//! What this node remembers of credentials that it looked up, and how it forgets them.
//!
//! A credential is remembered for a short time, so that a request costs no round trip. What an administrator changes on
//! this node is forgotten at once; other nodes follow when their memory runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use docket_domain::ids::TenantId;
use moka::sync::Cache;

use crate::application::ports::identity_admission::{Admitted, ForeignIdentity};
use crate::application::ports::key_store::KeyRecord;

/// How many credentials of a kind are remembered at most.
const CAPACITY: u64 = 100_000;

/// The memory; one per process, shared by who authenticates and who administers.
#[derive(Debug)]
pub struct CredentialMemory {
    keys: Cache<String, Arc<KeyRecord>>,
    identities: Cache<ForeignIdentity, Admitted>,
    /// Grows with every forgetting, so that a lookup that began before does not bring back what was forgotten.
    forgettings: AtomicU64,
}

/// When a lookup began; see [`CredentialMemory::begin`].
#[derive(Debug, Clone, Copy)]
pub struct LookupStart(u64);

impl CredentialMemory {
    /// A memory that lasts for `duration` (zero: nothing is remembered).
    pub fn new(duration: Duration) -> Self {
        Self {
            keys: Cache::builder().max_capacity(CAPACITY).time_to_live(duration).build(),
            identities: Cache::builder().max_capacity(CAPACITY).time_to_live(duration).build(),
            forgettings: AtomicU64::new(0),
        }
    }

    /// Marks the beginning of a lookup whose result may be remembered.
    pub fn begin(&self) -> LookupStart {
        LookupStart(self.forgettings.load(Ordering::SeqCst))
    }

    /// The key with this prefix.
    pub fn key(&self, prefix: &str) -> Option<Arc<KeyRecord>> {
        self.keys.get(prefix)
    }

    /// Remembers a key, unless something was forgotten since the lookup began.
    pub fn remember_key(&self, start: LookupStart, prefix: &str, record: Arc<KeyRecord>) {
        self.keys.insert(prefix.to_owned(), record);
        if self.forgettings.load(Ordering::SeqCst) != start.0 {
            self.keys.invalidate(prefix);
        }
    }

    /// The principal behind an identity.
    pub fn identity(&self, identity: &ForeignIdentity) -> Option<Admitted> {
        self.identities.get(identity)
    }

    /// Remembers an identity, unless something was forgotten since the lookup began.
    pub fn remember_identity(&self, start: LookupStart, identity: &ForeignIdentity, admitted: Admitted) {
        self.identities.insert(identity.clone(), admitted);
        if self.forgettings.load(Ordering::SeqCst) != start.0 {
            self.identities.invalidate(identity);
        }
    }

    /// Forgets a key at once, after it was revoked or rotated.
    pub fn forget(&self, prefix: &str) {
        self.forgettings.fetch_add(1, Ordering::SeqCst);
        self.keys.invalidate(prefix);
    }

    /// Forgets every key and identity of a tenant, after it was suspended or one of its principals changed.
    pub fn forget_tenant(&self, tenant: TenantId) {
        self.forgettings.fetch_add(1, Ordering::SeqCst);
        for (prefix, _) in self.keys.iter().filter(|(_, record)| record.tenant_id == tenant) {
            self.keys.invalidate(prefix.as_str());
        }
        for (identity, _) in self.identities.iter().filter(|(_, admitted)| admitted.tenant_id == tenant) {
            self.identities.invalidate(identity.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use docket_domain::ids::{ApiKeyId, PrincipalId};
    use docket_domain::principal::{PrincipalKind, Roles};
    use uuid::Uuid;

    use super::*;

    fn record(tenant: u128) -> Arc<KeyRecord> {
        Arc::new(KeyRecord {
            key_id: ApiKeyId(Uuid::nil()),
            tenant_id: TenantId(Uuid::from_u128(tenant)),
            principal_id: PrincipalId(Uuid::nil()),
            kind: PrincipalKind::User,
            roles: Roles::NONE,
            scopes: vec![],
            secret_hash: [0; 32],
            expires_at: None,
            blocked: false,
        })
    }

    #[test]
    fn a_lookup_that_began_before_a_forgetting_leaves_nothing_behind() {
        let memory = CredentialMemory::new(Duration::from_mins(1));
        let start = memory.begin();
        memory.forget("a");
        memory.remember_key(start, "a", record(1));
        assert!(memory.key("a").is_none());
        memory.remember_key(memory.begin(), "a", record(1));
        assert!(memory.key("a").is_some());
    }

    #[test]
    fn forgetting_a_tenant_leaves_the_others_keys() {
        let memory = CredentialMemory::new(Duration::from_mins(1));
        memory.remember_key(memory.begin(), "a", record(1));
        memory.remember_key(memory.begin(), "b", record(2));
        memory.forget_tenant(TenantId(Uuid::from_u128(1)));
        assert!(memory.key("a").is_none() && memory.key("b").is_some());
    }
}
