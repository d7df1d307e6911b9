//! The port for reading a tenant's working-day calendar; changing it is an administrative act
//! ([`super::tenancy_store::Effect::SetCalendar`]).

use async_trait::async_trait;
use docket_domain::calendar::TenantCalendar;
use docket_domain::ids::TenantId;

use super::StoreError;

/// Reads calendars.
///
/// Contract: sees only the given tenant. A tenant that never set a calendar has the one of
/// [`TenantCalendar::unset`]. Weekend and holidays are of one version.
#[async_trait]
pub trait CalendarStore: Send + Sync + 'static {
    /// The tenant's calendar as it stands.
    async fn calendar(&self, tenant: TenantId) -> Result<TenantCalendar, StoreError>;
}
