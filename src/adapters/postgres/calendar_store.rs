//! Working-day calendars in PostgreSQL: read in one view, replaced as part of an administrative act.

use async_trait::async_trait;
use docket_domain::calendar::{DayOfWeek, TenantCalendar, Weekend};
use docket_domain::ids::TenantId;
use sqlx::{PgConnection, PgPool};
use time::{Date, OffsetDateTime};

use super::case_row::{signed, unsigned};
use super::error::{store_error, unreadable};
use crate::application::ports::{CalendarStore, StoreError};

/// [`CalendarStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgCalendarStore {
    pool: PgPool,
}

impl PgCalendarStore {
    /// Over a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl CalendarStore for PgCalendarStore {
    #[tracing::instrument(name = "SELECT calendars", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.collection.name = "calendars"))]
    async fn calendar(&self, tenant: TenantId) -> Result<TenantCalendar, StoreError> {
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT c.version, c.weekend, c.updated_at,
                    array(SELECT h.day FROM docket.calendar_holidays h WHERE h.tenant_id = c.tenant_id ORDER BY h.day)
                        AS "days!: Vec<Date>",
                    array(SELECT h.name FROM docket.calendar_holidays h WHERE h.tenant_id = c.tenant_id ORDER BY h.day)
                        AS "names!: Vec<String>"
             FROM docket.calendars c WHERE (SELECT ready FROM context)"#,
            tenant.to_string()
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(store_error)?;
        let Some(row) = row else { return Ok(TenantCalendar::unset(tenant)) };
        let days: Result<Vec<DayOfWeek>, _> = row.weekend.iter().map(|day| day.parse()).collect();
        Ok(TenantCalendar {
            tenant_id: tenant,
            version: unsigned(row.version),
            weekend: Weekend::of(days.map_err(unreadable)?)
                .ok_or_else(|| StoreError::internal("a stored weekend is the whole week"))?,
            holidays: row.days.into_iter().zip(row.names).collect(),
            updated_at: Some(row.updated_at),
        })
    }
}

/// Replaces a tenant's calendar, inside the transaction of an act whose chain keeps others out.
pub(super) async fn replace(
    connection: &mut PgConnection,
    tenant: TenantId,
    calendar: &TenantCalendar,
) -> Result<(), sqlx::Error> {
    let weekend: Vec<String> = calendar.weekend.days().map(|day| day.to_string()).collect();
    let days: Vec<Date> = calendar.holidays.keys().copied().collect();
    let names: Vec<String> = calendar.holidays.values().cloned().collect();
    let updated_at = calendar.updated_at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    sqlx::query!(
        "INSERT INTO docket.calendars (tenant_id, version, weekend, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE
         SET version = excluded.version, weekend = excluded.weekend, updated_at = excluded.updated_at",
        tenant.0,
        signed(calendar.version),
        &weekend,
        updated_at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM docket.calendar_holidays WHERE tenant_id = $1", tenant.0)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO docket.calendar_holidays (tenant_id, day, name)
         SELECT $1, h.day, h.name FROM unnest($2::date[], $3::text[]) AS h (day, name)",
        tenant.0,
        &days,
        &names
    )
    .execute(connection)
    .await?;
    Ok(())
}
