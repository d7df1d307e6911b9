//! BM25 by tantivy, in memory, one index a tenant: tenants share neither postings nor statistics.

mod analysis;
mod best;
mod snapshot;
mod tenant_index;

use std::collections::HashMap;
use std::sync::Arc;

use docket_domain::ids::{ChunkId, TenantId};
use parking_lot::{Mutex, RwLock};

use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::keyword_index::{KeywordChange, KeywordIndex};
use crate::application::ports::passage_index::PassageFilter;
pub use analysis::Analysis;
use analysis::Analyzers;
use tenant_index::TenantIndex;

type Tenants = Arc<RwLock<HashMap<TenantId, Arc<TenantIndex>>>>;

/// [`KeywordIndex`] by tantivy.
pub struct TantivyIndex {
    analyzers: Arc<Analyzers>,
    serving: RwLock<Tenants>,
    building: RwLock<Option<Tenants>>,
    generations: Mutex<Generations>,
}

/// When the passages of each tenant changed last, counted in changes of all of them.
#[derive(Default)]
struct Generations {
    latest: u64,
    /// Of a whole index.
    replaced: u64,
    tenants: HashMap<TenantId, u64>,
}

impl TantivyIndex {
    /// An empty index that splits texts into words in this way.
    pub fn new(analysis: Analysis) -> Self {
        let analyzers = Arc::new(Analyzers::new(analysis));
        Self { analyzers, serving: RwLock::default(), building: RwLock::default(), generations: Mutex::default() }
    }

    fn tenant(&self, tenants: &Tenants, tenant: TenantId) -> Result<Arc<TenantIndex>, StoreError> {
        if let Some(index) = tenants.read().get(&tenant) {
            return Ok(index.clone());
        }
        let index = Arc::new(TenantIndex::new(self.analyzers.clone()).map_err(StoreError::internal)?);
        Ok(tenants.write().entry(tenant).or_insert(index).clone())
    }
}

impl KeywordIndex for TantivyIndex {
    fn search(
        &self,
        viewer: Viewer,
        text: &str,
        filter: &PassageFilter,
        limit: usize,
    ) -> Result<Vec<(ChunkId, f64)>, StoreError> {
        let tenants = self.serving.read().clone();
        let index = tenants.read().get(&viewer.tenant_id).cloned();
        index.map_or_else(
            || Ok(Vec::new()),
            |index| index.search(viewer, text, filter, limit).map_err(StoreError::internal),
        )
    }

    fn apply(&self, changes: Vec<KeywordChange>) -> Result<(), StoreError> {
        let tenants = self.building.read().clone().unwrap_or_else(|| self.serving.read().clone());
        let mut by_tenant: HashMap<TenantId, Vec<KeywordChange>> = HashMap::new();
        for change in changes {
            let tenant = match &change {
                KeywordChange::Remove { tenant_id, .. } => *tenant_id,
                KeywordChange::Add(entry) => entry.tenant_id,
            };
            by_tenant.entry(tenant).or_default().push(change);
        }
        for (tenant, changes) in by_tenant {
            self.tenant(&tenants, tenant)?.apply(changes).map_err(StoreError::internal)?;
            // After the change: what a search began before it found may be stale, and is dated so.
            let mut generations = self.generations.lock();
            generations.latest += 1;
            let latest = generations.latest;
            generations.tenants.insert(tenant, latest);
        }
        Ok(())
    }

    fn start_over(&self) {
        *self.building.write() = Some(Tenants::default());
    }

    fn publish(&self) {
        if let Some(built) = self.building.write().take() {
            *self.serving.write() = built;
            let mut generations = self.generations.lock();
            generations.latest += 1;
            generations.replaced = generations.latest;
        }
    }

    fn generation(&self, tenant: TenantId) -> u64 {
        let generations = self.generations.lock();
        generations.tenants.get(&tenant).copied().unwrap_or_default().max(generations.replaced)
    }

    fn passages(&self) -> u64 {
        let tenants = self.serving.read().clone();
        let tenants = tenants.read();
        tenants.values().map(|index| index.passages()).sum()
    }
}
