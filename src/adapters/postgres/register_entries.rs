//! Answers of the company register in PostgreSQL: written with the case, read newest first.

use async_trait::async_trait;
use docket_domain::case::{Company, RegisterEntry};
use docket_domain::ids::{CaseId, EventId, RegisterEntryId, TenantId};
use sqlx::{PgConnection, PgPool};

use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::case_store::CaseWrite;
use crate::application::ports::register_entries::{RegisterEntries, StoredEntry};

/// [`RegisterEntries`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgRegisterEntries {
    pool: PgPool,
}

impl PgRegisterEntries {
    /// A reader on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl RegisterEntries for PgRegisterEntries {
    #[tracing::instrument(name = "SELECT register_entries", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "register_entries"))]
    async fn of_case(&self, tenant: TenantId, case: CaseId, limit: u32) -> Result<Vec<StoredEntry>, StoreError> {
        let rows = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id, event_id, asked_name, company_number, company_name, company_status, company_address, created_at
             FROM docket.register_entries
             WHERE (SELECT ready FROM context) AND case_id = $2
             ORDER BY id DESC LIMIT $3",
            tenant.to_string(),
            case.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        rows.into_iter()
            .map(|row| {
                let known = row.company_number.zip(row.company_name).zip(row.company_status).zip(row.company_address);
                let company = known.map(|(((number, name), status), address)| {
                    Ok(Company { number, name, status: status.parse().map_err(unreadable)?, address })
                });
                Ok(StoredEntry {
                    id: RegisterEntryId(row.id),
                    event_id: EventId(row.event_id),
                    entry: RegisterEntry { asked_name: row.asked_name, company: company.transpose()? },
                    created_at: row.created_at,
                })
            })
            .collect()
    }
}

/// Writes an answer in the transaction of the act that records it.
pub(super) async fn insert(
    connection: &mut PgConnection,
    write: &CaseWrite,
    id: RegisterEntryId,
    event_id: EventId,
    entry: &RegisterEntry,
) -> Result<(), sqlx::Error> {
    let company = entry.company.as_ref();
    sqlx::query!(
        "INSERT INTO docket.register_entries
             (tenant_id, id, case_id, event_id, asked_name, company_number, company_name, company_status,
              company_address, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        write.case.tenant_id.0,
        id.0,
        write.case.id.0,
        event_id.0,
        entry.asked_name,
        company.map(|company| company.number.as_str()),
        company.map(|company| company.name.as_str()),
        company.map(|company| company.status.as_str()),
        company.map(|company| company.address.as_str()),
        write.audit.occurred_at
    )
    .execute(connection)
    .await?;
    Ok(())
}
