//! Tenants and principals in memory, as far as admission needs them, with the tenant's chain.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use docket::application::ports::StoreError;
use docket::application::ports::case_store::{KeyScope, StoredAnswer};
use docket::application::ports::tenancy_store::{Effect, TenancyCommit, TenancyStore, TenancyWrite};
use docket_domain::audit::ChainHead;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use time::OffsetDateTime;
use uuid::Uuid;

#[derive(Default)]
struct Rows {
    tenants: HashMap<TenantId, (Tenant, ChainHead)>,
    principals: HashMap<(TenantId, PrincipalId), Principal>,
    issued: HashMap<(TenantId, PrincipalId), OffsetDateTime>,
    actions: Vec<String>,
}

/// [`TenancyStore`] in memory.
#[derive(Default)]
pub struct MemoryTenancy {
    rows: Mutex<Rows>,
    reads: AtomicU32,
    stale: AtomicU32,
    away: std::sync::atomic::AtomicBool,
}

impl MemoryTenancy {
    /// Adds or replaces a tenant at the beginning of its chain.
    pub fn put_tenant(&self, tenant: Tenant) {
        self.rows.lock().unwrap().tenants.insert(tenant.id, (tenant, ChainHead::EMPTY));
    }

    /// Changes a principal behind everybody's back.
    pub fn change(&self, tenant: TenantId, id: PrincipalId, change: impl FnOnce(&mut Principal)) {
        change(self.rows.lock().unwrap().principals.get_mut(&(tenant, id)).unwrap());
    }

    /// The principal as it stands.
    pub fn stored(&self, tenant: TenantId, id: PrincipalId) -> Option<Principal> {
        self.rows.lock().unwrap().principals.get(&(tenant, id)).cloned()
    }

    /// What was done, in order.
    pub fn actions(&self) -> Vec<String> {
        self.rows.lock().unwrap().actions.clone()
    }

    /// How often anything was read.
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Lets the chain move under the next commits.
    pub fn move_under_the_next(&self, commits: u32) {
        self.stale.store(commits, Ordering::SeqCst);
    }

    /// Lets every call fail from now on.
    pub fn go_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    fn read(&self) -> Result<std::sync::MutexGuard<'_, Rows>, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".into()));
        }
        Ok(self.rows.lock().unwrap())
    }
}

#[async_trait]
impl TenancyStore for MemoryTenancy {
    async fn load_answer(&self, _: TenantId, _: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(None)
    }

    async fn forget_expired(&self, _: TenantId, _: KeyScope<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn tenant(&self, seen_by: TenantId, id: TenantId) -> Result<Option<(Tenant, ChainHead)>, StoreError> {
        let visible = seen_by == id || seen_by == TenantId::PLATFORM;
        Ok(self.read()?.tenants.get(&id).filter(|_| visible).cloned())
    }

    async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        Ok(self.read()?.tenants.values().map(|(tenant, _)| tenant).find(|tenant| tenant.name == name).cloned())
    }

    async fn tenants(&self, _: Option<Uuid>, _: u32) -> Result<Vec<Tenant>, StoreError> {
        Ok(self.read()?.tenants.values().map(|(tenant, _)| tenant.clone()).collect())
    }

    async fn principal(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<Principal>, StoreError> {
        Ok(self.read()?.principals.get(&(tenant, id)).cloned())
    }

    async fn roles_issued_at(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<OffsetDateTime>, StoreError> {
        Ok(self.read()?.issued.get(&(tenant, id)).copied())
    }

    async fn principals(&self, tenant: TenantId, _: Option<Uuid>, _: u32) -> Result<Vec<Principal>, StoreError> {
        let rows = self.read()?;
        Ok(rows.principals.iter().filter(|((of, _), _)| *of == tenant).map(|(_, one)| one.clone()).collect())
    }

    async fn key(&self, _: TenantId, _: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(None)
    }

    async fn keys(
        &self,
        _: TenantId,
        _: Option<PrincipalId>,
        _: Option<Uuid>,
        _: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        Ok(Vec::new())
    }

    async fn commit(&self, write: &TenancyWrite) -> Result<TenancyCommit, StoreError> {
        let mut rows = self.read()?;
        if self.stale.load(Ordering::SeqCst) > 0 {
            self.stale.fetch_sub(1, Ordering::SeqCst);
            return Ok(TenancyCommit::Stale);
        }
        let Some((_, head)) = rows.tenants.get_mut(&write.tenant_id) else { return Ok(TenancyCommit::Stale) };
        if *head != write.decided_on {
            return Ok(TenancyCommit::Stale);
        }
        *head = write.head;
        for effect in &write.effects {
            match effect {
                Effect::CreatePrincipal(one) | Effect::UpdatePrincipal(one) => {
                    rows.principals.insert((write.tenant_id, one.id), one.clone());
                }
                Effect::NoteRolesIssued(id, at) => _ = rows.issued.insert((write.tenant_id, *id), *at),
                _ => {}
            }
        }
        rows.actions.push(write.audit.action.clone());
        Ok(TenancyCommit::Done)
    }
}
