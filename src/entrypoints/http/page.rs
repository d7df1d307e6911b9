//! Pages of lists that are ordered by id: the cursor is the last id, signed.

use docket_domain::ids::TenantId;
use uuid::Uuid;

use super::extract::Query;
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::tenancy::directory::PageRequest;

/// One page being read.
#[derive(Debug)]
pub struct IdPage {
    tenant: TenantId,
    /// What the cursor belongs to: the list and its filter.
    bound: String,
    limit: usize,
    /// What to ask the store for: one row more than the page holds, which tells whether there is a next one.
    pub request: PageRequest,
}

impl IdPage {
    /// Reads `limit` and `cursor` and ends reading the query.
    pub fn read(state: &ApiState, tenant: TenantId, bound: String, mut query: Query) -> Result<Self, Problem> {
        let limit = query.limit(state.page_size_default, state.page_size_max);
        let cursor = query.text("cursor");
        query.finish()?;
        let bytes = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
        let unreadable = |_| UseCaseError::InvalidCursor("it holds no position");
        let after = bytes.map(|bytes| Uuid::from_slice(&bytes).map_err(unreadable)).transpose()?;
        let request = PageRequest { after, limit: limit + 1 };
        Ok(Self { tenant, bound, limit: limit as usize, request })
    }

    /// Cuts the rows to the page; the cursor of the next one, if there are more.
    pub fn finish<T>(&self, state: &ApiState, rows: &mut Vec<T>, id: impl Fn(&T) -> Uuid) -> Option<String> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more)?;
        Some(state.cursors.sign(self.tenant, &self.bound, id(last).as_bytes()))
    }
}
