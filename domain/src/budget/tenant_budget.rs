//! What a tenant may spend on models in a month, when its administrators set it themselves.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::ids::TenantId;

/// The largest budget: ten million dollars a month, in nano-dollars.
pub const BUDGET_MAX_NANOS: u64 = 10_000_000_000_000_000;

/// A tenant's own budget, with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantBudget {
    /// Whose.
    pub tenant_id: TenantId,
    /// Grows by one with every change; 1 before the first.
    pub version: u64,
    /// Nano-dollars in a calendar month (UTC); none means what the configuration says.
    pub monthly_nanos: Option<u64>,
    /// When it was set; none before the first change.
    pub updated_at: Option<OffsetDateTime>,
}

impl TenantBudget {
    /// The budget of a tenant that has set none.
    pub const fn unset(tenant_id: TenantId) -> Self {
        Self { tenant_id, version: 1, monthly_nanos: None, updated_at: None }
    }

    /// The strong entity tag of this version (RFC 9110, section 8.8.3).
    pub fn etag(&self) -> String {
        format!("\"v{}\"", self.version)
    }

    /// The form that the audit trail records.
    pub fn to_record(&self) -> Value {
        json!({"id": self.tenant_id, "version": self.version, "monthly_nanos": self.monthly_nanos})
    }
}
