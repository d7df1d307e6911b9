//! The port for reading what the company register said of cases. Writing is part of the unit of work
//! ([`super::case_store::Attachment::RegisterEntry`]).

use async_trait::async_trait;
use docket_domain::case::RegisterEntry;
use docket_domain::ids::{CaseId, EventId, RegisterEntryId, TenantId};
use time::OffsetDateTime;

use super::StoreError;

/// An answer as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its id.
    pub id: RegisterEntryId,
    /// The event that led to the look-up.
    pub event_id: EventId,
    /// The answer.
    pub entry: RegisterEntry,
    /// When it was written down.
    pub created_at: OffsetDateTime,
}

/// Reads the register's answers.
///
/// Contract: only the given tenant's are seen; whether the caller may see the case is for the caller to ask.
#[async_trait]
pub trait RegisterEntries: Send + Sync + 'static {
    /// Answers on a case, newest first, at most `limit`.
    async fn of_case(&self, tenant: TenantId, case: CaseId, limit: u32) -> Result<Vec<StoredEntry>, StoreError>;
}
