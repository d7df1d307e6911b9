//! The seeded faults of the queue: a lease by the wrong clock, a claim in two steps. Only with the feature `faults`.

use std::time::Duration;

use docket_domain::ids::{JobId, PrincipalId, TenantId, WorkerId};
use docket_domain::job::{JobLease, LeaseTerms};
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::store_error;
use crate::application::ports::job_queue::{ClaimSlot, ClaimedJob, QueueError};
use crate::faults::Fault;

/// How far the service's clock is off, in seconds; set by the batteries.
const SHIFT: &str = "DOCKET_CRASH_CLOCK_SHIFT";

/// Renews the lease until an instant of the service's clock.
pub(super) async fn heartbeat(
    pool: &PgPool,
    worker: WorkerId,
    terms: LeaseTerms,
) -> Option<Result<Vec<JobLease>, QueueError>> {
    if !Fault::LeaseByServiceClock.is_seeded() {
        return None;
    }
    let shift = std::env::var(SHIFT).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    #[allow(clippy::disallowed_methods, reason = "this is the very mistake that is seeded here")]
    let now = OffsetDateTime::now_utc() + time::Duration::seconds(shift);
    let moved = sqlx::query(
        "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
         UPDATE docket.job_workers SET expires_at = $3 WHERE (SELECT ready FROM context) AND id = $2",
    )
    .bind(TenantId::PLATFORM.to_string())
    .bind(worker.0)
    .bind(now + terms.length)
    .execute(pool)
    .await;
    Some(match moved {
        Ok(done) if done.rows_affected() == 1 => Ok(Vec::new()),
        Ok(_) => Err(QueueError::LeaseLost),
        Err(error) => Err(store_error(error).into()),
    })
}

/// Chooses jobs, and takes them a moment later whoever has them by then.
pub(super) async fn claim(
    pool: &PgPool,
    worker: WorkerId,
    slots: &[ClaimSlot],
) -> Option<Result<Vec<ClaimedJob>, QueueError>> {
    if !Fault::ClaimOutsideTransaction.is_seeded() {
        return None;
    }
    Some(claim_in_two_steps(pool, worker, slots).await.map_err(|error| store_error(error).into()))
}

async fn claim_in_two_steps(
    pool: &PgPool,
    worker: WorkerId,
    slots: &[ClaimSlot],
) -> Result<Vec<ClaimedJob>, sqlx::Error> {
    let context = "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)";
    let tenants = format!("{context} SELECT id FROM docket.tenants WHERE (SELECT ready FROM context)");
    let tenants: Vec<Uuid> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(tenants)).bind(TenantId::PLATFORM.to_string()).fetch_all(pool).await?;
    let choose = format!(
        "{context} SELECT id FROM docket.jobs WHERE (SELECT ready FROM context) AND worker_id IS NULL AND kind = $2
         AND run_at <= clock_timestamp() ORDER BY run_at LIMIT $3"
    );
    let take = format!(
        "{context} UPDATE docket.jobs SET worker_id = $2, lease_token = lease_token + 1, attempt = attempt + 1
         WHERE (SELECT ready FROM context) AND id = ANY ($3)
         RETURNING id, kind, payload::text, lane, run_at, attempt, lease_token, requested_by"
    );
    let mut claimed = Vec::new();
    for tenant in tenants {
        for slot in slots {
            let ids: Vec<Uuid> = sqlx::query_scalar(sqlx::AssertSqlSafe(choose.clone()))
                .bind(tenant.to_string())
                .bind(slot.kind)
                .bind(i64::from(slot.wanted))
                .fetch_all(pool)
                .await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            let rows: Vec<(Uuid, String, String, i16, OffsetDateTime, i16, i64, Uuid)> =
                sqlx::query_as(sqlx::AssertSqlSafe(take.clone()))
                    .bind(tenant.to_string())
                    .bind(worker.0)
                    .bind(&ids)
                    .fetch_all(pool)
                    .await?;
            claimed.extend(rows.into_iter().map(|row| ClaimedJob {
                lease: JobLease { tenant_id: TenantId(tenant), job_id: JobId(row.0), token: row.6 },
                kind: row.1,
                payload: row.2,
                lane: row.3,
                run_at: row.4,
                attempt: u32::try_from(row.5).unwrap_or_default(),
                requested_by: PrincipalId(row.7),
                traceparent: None,
                waited: Duration::ZERO,
            }));
        }
    }
    Ok(claimed)
}
