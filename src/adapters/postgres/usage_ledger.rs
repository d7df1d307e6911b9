//! The ledger of model calls in PostgreSQL: one round trip to reserve, one to settle.

use async_trait::async_trait;
use docket_domain::budget::{TenantBudget, Usage};
use docket_domain::ids::TenantId;
use sqlx::{PgConnection, PgPool};
use time::{Date, OffsetDateTime};

use super::case_row::{signed, unsigned};
use super::error::store_error;
use crate::application::ports::StoreError;
use crate::application::ports::usage_ledger::{ModelUsage, Reservation, Settlement, Standing, UsageLedger};

/// [`UsageLedger`] on PostgreSQL, by the functions of `migrations/0023_answers.sql`.
#[derive(Debug, Clone)]
pub struct PgUsageLedger {
    pool: PgPool,
}

impl PgUsageLedger {
    /// A ledger on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

/// Milliseconds as the table keeps them.
fn millis(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

#[async_trait]
impl UsageLedger for PgUsageLedger {
    #[tracing::instrument(name = "SELECT reserve_model_call", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.stored_procedure.name = "reserve_model_call"))]
    async fn reserve(&self, tenant: TenantId, reservation: &Reservation) -> Result<Standing, StoreError> {
        let row = sqlx::query!(
            r#"SELECT granted AS "granted!", monthly_nanos AS "limit!", spent_nanos AS "spent!", reserved_nanos AS "reserved!"
               FROM docket.reserve_model_call($1, $2, $3, $4, $5, $6, $7, $8,
                                              clock_timestamp() + ($9::timestamptz - $8::timestamptz))"#,
            tenant.0,
            reservation.id,
            reservation.principal_id.0,
            reservation.answer_id,
            reservation.purpose.as_str(),
            signed(reservation.nanos),
            signed(reservation.default_limit),
            reservation.now,
            reservation.expires_at
        );
        let row = row.fetch_one(&self.pool).await.map_err(store_error)?;
        let (limit, spent, reserved) = (unsigned(row.limit), unsigned(row.spent), unsigned(row.reserved));
        Ok(Standing { granted: row.granted, limit, spent, reserved })
    }

    #[tracing::instrument(name = "SELECT settle_model_call", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.stored_procedure.name = "settle_model_call"))]
    async fn settle(&self, tenant: TenantId, settlement: &Settlement) -> Result<bool, StoreError> {
        let usage = settlement.usage;
        let settled = sqlx::query_scalar!(
            r#"SELECT docket.settle_model_call($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS "settled!""#,
            tenant.0,
            settlement.id,
            settlement.outcome.as_str(),
            settlement.provider.as_deref(),
            settlement.model.as_deref(),
            signed(settlement.cost),
            signed(usage.input_tokens),
            signed(usage.cache_read_tokens),
            signed(usage.cache_write_tokens),
            signed(usage.output_tokens),
            settlement.estimated,
            i16::try_from(settlement.attempts).unwrap_or(i16::MAX),
            settlement.first_token_ms.map(millis),
            millis(settlement.total_ms)
        );
        settled.fetch_one(&self.pool).await.map_err(store_error)
    }

    async fn settle_lost(&self, limit: u32) -> Result<u64, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let lost = sqlx::query_scalar!(r#"SELECT docket.settle_lost_model_calls($1) AS "lost!""#, limit);
        Ok(unsigned(lost.fetch_one(&self.pool).await.map_err(store_error)?))
    }

    async fn standing(&self, tenant: TenantId, month: Date, default_limit: u64) -> Result<Standing, StoreError> {
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT coalesce(b.monthly_nanos, $3) AS "limit!", coalesce(s.spent_nanos, 0) AS "spent!",
                      coalesce(s.reserved_nanos, 0) AS "reserved!"
               FROM (SELECT ready FROM context) c
               LEFT JOIN (SELECT monthly_nanos FROM docket.budgets
                          WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid) b ON true
               LEFT JOIN (SELECT spent_nanos, reserved_nanos FROM docket.spending
                          WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND month = $2) s ON true"#,
            tenant.to_string(),
            month,
            signed(default_limit)
        );
        let row = row.fetch_one(&self.pool).await.map_err(store_error)?;
        let (limit, spent, reserved) = (unsigned(row.limit), unsigned(row.spent), unsigned(row.reserved));
        Ok(Standing { granted: spent.saturating_add(reserved) < limit, limit, spent, reserved })
    }

    async fn by_model(&self, tenant: TenantId, month: Date) -> Result<Vec<ModelUsage>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT coalesce(provider, '') AS "provider!", coalesce(model, '') AS "model!", count(*) AS "calls!",
                      sum(input_tokens)::bigint AS "input!", sum(cache_read_tokens)::bigint AS "read!",
                      sum(cache_write_tokens)::bigint AS "write!", sum(output_tokens)::bigint AS "output!",
                      sum(cost_nanos)::bigint AS "cost!"
               FROM docket.model_calls
               WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND month = $2 AND state = 'settled'
               GROUP BY 1, 2 ORDER BY 8 DESC, 1, 2"#,
            tenant.to_string(),
            month
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        let read = rows.into_iter().map(|row| ModelUsage {
            provider: row.provider,
            model: row.model,
            calls: unsigned(row.calls),
            usage: Usage {
                input_tokens: unsigned(row.input),
                cache_read_tokens: unsigned(row.read),
                cache_write_tokens: unsigned(row.write),
                output_tokens: unsigned(row.output),
            },
            cost: unsigned(row.cost),
        });
        Ok(read.collect())
    }

    async fn budget(&self, tenant: TenantId) -> Result<TenantBudget, StoreError> {
        let row = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT version, monthly_nanos, updated_at FROM docket.budgets
             WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid",
            tenant.to_string()
        );
        let row = row.fetch_optional(&self.pool).await.map_err(store_error)?;
        Ok(row.map_or(TenantBudget::unset(tenant), |row| TenantBudget {
            tenant_id: tenant,
            version: unsigned(row.version),
            monthly_nanos: Some(unsigned(row.monthly_nanos)),
            updated_at: Some(row.updated_at),
        }))
    }
}

/// Writes a tenant's budget, inside the transaction of an act whose chain keeps others out.
pub(super) async fn set_budget(
    connection: &mut PgConnection,
    tenant: TenantId,
    budget: &TenantBudget,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO docket.budgets (tenant_id, version, monthly_nanos, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE
         SET version = excluded.version, monthly_nanos = excluded.monthly_nanos, updated_at = excluded.updated_at",
        tenant.0,
        signed(budget.version),
        signed(budget.monthly_nanos.unwrap_or_default()),
        budget.updated_at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    )
    .execute(connection)
    .await
    .map(drop)
}
