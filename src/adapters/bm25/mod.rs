//! BM25 by tantivy, in memory, one index a tenant: tenants share neither postings nor statistics.

mod analysis;
mod tenant_index;

use std::collections::HashMap;
use std::sync::Arc;

use docket_domain::ids::{ChunkId, TenantId};
use parking_lot::RwLock;

use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::keyword_index::{KeywordChange, KeywordIndex};
use crate::application::ports::passage_index::PassageFilter;
pub use analysis::Analysis;
use tenant_index::TenantIndex;

type Tenants = Arc<RwLock<HashMap<TenantId, Arc<TenantIndex>>>>;

/// [`KeywordIndex`] by tantivy.
pub struct TantivyIndex {
    analysis: Analysis,
    serving: RwLock<Tenants>,
    building: RwLock<Option<Tenants>>,
}

impl TantivyIndex {
    /// An empty index that splits texts into words in this way.
    pub fn new(analysis: Analysis) -> Self {
        Self { analysis, serving: RwLock::default(), building: RwLock::default() }
    }

    fn tenant(&self, tenants: &Tenants, tenant: TenantId) -> Result<Arc<TenantIndex>, StoreError> {
        if let Some(index) = tenants.read().get(&tenant) {
            return Ok(index.clone());
        }
        let index = Arc::new(TenantIndex::new(self.analysis).map_err(StoreError::internal)?);
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
        }
        Ok(())
    }

    fn start_over(&self) {
        *self.building.write() = Some(Tenants::default());
    }

    fn publish(&self) {
        if let Some(built) = self.building.write().take() {
            *self.serving.write() = built;
        }
    }

    fn passages(&self) -> u64 {
        let tenants = self.serving.read().clone();
        let tenants = tenants.read();
        tenants.values().map(|index| index.passages()).sum()
    }
}
