//! Who can be given a case.

use docket_domain::ids::{PrincipalId, TenantId};
use sqlx::PgPool;

use super::error::store_error;
use crate::application::ports::StoreError;

/// Whether the tenant has this principal and its credentials are accepted.
pub(super) async fn is_assignable(pool: &PgPool, tenant: TenantId, principal: PrincipalId) -> Result<bool, StoreError> {
    let row = sqlx::query!(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.principals WHERE (SELECT ready FROM context) AND id = $2 AND NOT disabled",
        tenant.to_string(),
        principal.0
    )
    .fetch_optional(pool)
    .await
    .map_err(store_error)?;
    Ok(row.is_some())
}
