//! The port for finding cases of which a notice is owed, over all tenants.

use async_trait::async_trait;
use docket_domain::ids::{CaseId, TenantId};
use time::OffsetDateTime;

use super::StoreError;

/// A case of which a notice is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueNotice {
    /// Since when.
    pub at: OffsetDateTime,
    /// Whose case.
    pub tenant_id: TenantId,
    /// Which case.
    pub case_id: CaseId,
}

/// Finds what is owed.
///
/// Contract: only ids leave a tenant here; whoever acts on a case loads it under its tenant and judges anew, because the
/// case may have moved. Nothing is locked or claimed. "Now" is the caller's.
#[async_trait]
pub trait DeadlineWatch: Send + Sync + 'static {
    /// At most `limit` cases owed at `now`, longest owed first, after another one.
    async fn due(
        &self,
        now: OffsetDateTime,
        after: Option<DueNotice>,
        limit: u32,
    ) -> Result<Vec<DueNotice>, StoreError>;
    /// How many undecided cases are past their deadline, counting to `cap`.
    async fn overdue(&self, now: OffsetDateTime, cap: u32) -> Result<u64, StoreError>;
}
