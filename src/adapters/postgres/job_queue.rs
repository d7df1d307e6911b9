//! The queue in PostgreSQL as workers see it: the functions of `migrations/0008_jobs.sql`, which alone cross tenants.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::{JobId, PrincipalId, TenantId, WorkerId};
use docket_domain::job::{JobLease, LeaseTerms};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use sqlx::postgres::types::PgInterval;
use time::OffsetDateTime;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::error::store_error;
use super::job_hint::CHANNEL;
use super::patience::Patience;
use super::pool::beside;
use crate::application::ports::StoreError;
use crate::application::ports::job_queue::{ClaimSlot, ClaimedJob, Depth, JobQueue, QueueError, Settlement, Tick};

/// The SQLSTATE by which the functions say that a worker was given up.
const GIVEN_UP: &str = "DK010";
/// The longest that a job is put off: what a caller asks for may be any number, and an instant may not.
const LONGEST_DELAY: Duration = Duration::from_hours(366 * 24);

/// [`JobQueue`] on PostgreSQL.
pub struct PgJobQueue {
    pub(super) pool: PgPool,
    patience: Patience,
    /// The connection that listens for hints, opened when somebody waits for one.
    listener: Mutex<Option<PgListener>>,
}

impl PgJobQueue {
    /// A queue on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { patience: Patience::of(&pool), pool, listener: Mutex::new(None) }
    }
}

#[async_trait]
impl JobQueue for PgJobQueue {
    async fn register(&self, worker: WorkerId, name: &str, terms: LeaseTerms) -> Result<(), StoreError> {
        let done = sqlx::query!("SELECT docket.register_worker($1, $2, $3)", worker.0, name, interval(terms.length)?);
        self.patience.wait(done.execute(&self.pool)).await.map_err(store_error)?;
        Ok(())
    }

    async fn claim(&self, worker: WorkerId, slots: &[ClaimSlot]) -> Result<Vec<ClaimedJob>, QueueError> {
        #[cfg(feature = "faults")]
        if let Some(claimed) = super::job_faults::claim(&self.pool, worker, slots).await {
            return claimed;
        }
        let kinds: Vec<String> = slots.iter().map(|slot| slot.kind.to_owned()).collect();
        let wanted: Vec<i32> = slots.iter().map(|slot| i32::try_from(slot.wanted).unwrap_or(i32::MAX)).collect();
        let from_at: Vec<OffsetDateTime> = slots.iter().flat_map(|slot| slot.from.map(|position| position.0)).collect();
        let from_id: Vec<Uuid> = slots.iter().flat_map(|slot| slot.from.map(|position| position.1)).collect();
        let claimed = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", kind AS "kind!", payload AS "payload!", lane AS "lane!",
                      run_at AS "run_at!", attempt AS "attempt!", lease_token AS "lease_token!",
                      requested_by AS "requested_by!", traceparent, waited_ms AS "waited_ms!"
               FROM docket.claim_jobs($1, $2, $3, $4, $5)"#,
            worker.0,
            &kinds,
            &wanted,
            &from_at,
            &from_id
        );
        let rows = self.patience.wait(claimed.fetch_all(&self.pool)).await.map_err(queue_error)?;
        let jobs = rows.into_iter().map(|row| ClaimedJob {
            lease: JobLease { tenant_id: TenantId(row.tenant_id), job_id: JobId(row.id), token: row.lease_token },
            kind: row.kind,
            payload: row.payload,
            lane: row.lane,
            run_at: row.run_at,
            attempt: u32::try_from(row.attempt).unwrap_or_default(),
            requested_by: PrincipalId(row.requested_by),
            traceparent: row.traceparent,
            waited: milliseconds(row.waited_ms),
        });
        Ok(jobs.collect())
    }

    async fn complete(&self, jobs: &[JobLease]) -> Result<u64, StoreError> {
        let (tenants, ids, tokens) = columns(jobs.iter());
        let ended =
            sqlx::query_scalar!(r#"SELECT docket.complete_jobs($1, $2, $3) AS "ended!""#, &tenants, &ids, &tokens);
        self.patience.wait(ended.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }

    async fn settle(&self, jobs: &[(JobLease, Settlement)]) -> Result<u64, StoreError> {
        let is_postponed = |settlement: &Settlement| matches!(settlement, Settlement::Postponed { .. });
        if jobs.iter().any(|(_, settlement)| is_postponed(settlement)) {
            let (postponed, others): (Vec<_>, Vec<_>) = jobs.iter().cloned().partition(|(_, end)| is_postponed(end));
            let count = self.postpone(&postponed).await?;
            return Ok(count + if others.is_empty() { 0 } else { self.settle(&others).await? });
        }
        let (tenants, ids, tokens) = columns(jobs.iter().map(|(lease, _)| lease));
        let (mut verdicts, mut delays, mut errors, mut results) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (_, settlement) in jobs {
            let (verdict, delay, error, result) = match settlement {
                Settlement::Succeeded(result) => ("succeeded", 0, None, result.as_ref().map(ToString::to_string)),
                Settlement::Retry { delay, error } | Settlement::Postponed { delay, error } => {
                    ("retry", put_off(*delay), Some(error.clone()), None)
                }
                Settlement::Dead { error } => ("dead", 0, Some(error.clone()), None),
                Settlement::Cancelled => ("cancelled", 0, None, None),
            };
            verdicts.push(verdict.to_owned());
            delays.push(delay);
            errors.push(error);
            results.push(result);
        }
        let settled = sqlx::query_scalar!(
            r#"SELECT docket.settle_jobs($1, $2, $3, $4, $5, $6, $7) AS "settled!""#,
            &tenants,
            &ids,
            &tokens,
            &verdicts,
            &delays,
            &errors as &[Option<String>],
            &results as &[Option<String>]
        );
        self.patience.wait(settled.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }

    async fn heartbeat(&self, worker: WorkerId, terms: LeaseTerms) -> Result<Vec<JobLease>, QueueError> {
        #[cfg(feature = "faults")]
        if let Some(renewed) = super::job_faults::heartbeat(&self.pool, worker, terms).await {
            return renewed;
        }
        let renewed = sqlx::query!(
            r#"SELECT tenant_id AS "tenant_id!", id AS "id!", lease_token AS "token!"
               FROM docket.heartbeat_worker($1, $2)"#,
            worker.0,
            interval(terms.length)?
        );
        let rows = self.patience.wait(renewed.fetch_all(&self.pool)).await.map_err(queue_error)?;
        let lease = |tenant_id, id, token| JobLease { tenant_id: TenantId(tenant_id), job_id: JobId(id), token };
        Ok(rows.into_iter().map(|row| lease(row.tenant_id, row.id, row.token)).collect())
    }

    async fn reap(&self) -> Result<u64, StoreError> {
        let jobs = sqlx::query_scalar!(r#"SELECT docket.reap_workers() AS "jobs!""#);
        self.patience.wait(jobs.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }

    async fn retire(&self, worker: WorkerId) -> Result<u64, StoreError> {
        let jobs = sqlx::query_scalar!(r#"SELECT docket.retire_worker($1) AS "jobs!""#, worker.0);
        self.patience.wait(jobs.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }

    async fn release_unknown(&self, worker: WorkerId, known: &[JobLease]) -> Result<u64, QueueError> {
        let (_, ids, tokens) = columns(known.iter());
        let jobs =
            sqlx::query_scalar!(r#"SELECT docket.release_unknown($1, $2, $3) AS "jobs!""#, worker.0, &ids, &tokens);
        self.patience.wait(jobs.fetch_one(&self.pool)).await.map(unsigned).map_err(queue_error)
    }

    async fn progress(&self, job: JobLease, percent: u8) -> Result<bool, StoreError> {
        // Asynchronous: what a crash loses here is shown again a moment later.
        let moved = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL
                                              AND set_config('synchronous_commit', 'off', true) IS NOT NULL AS ready)
             UPDATE docket.jobs SET progress = $4
             WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = $2 AND lease_token = $3
               AND worker_id IS NOT NULL",
            job.tenant_id.to_string(),
            job.job_id.0,
            job.token,
            i16::from(percent.min(100))
        );
        let moved = self.patience.wait(moved.execute(&self.pool)).await.map_err(store_error)?;
        Ok(moved.rows_affected() == 1)
    }

    async fn depths(&self, kinds: &[&str], cap: u32) -> Result<Vec<Depth>, StoreError> {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let counted = sqlx::query!(
            r#"SELECT kind AS "kind!", waiting AS "waiting!", oldest_ms, dead AS "dead!" FROM docket.job_depths($1, $2)"#,
            &kinds,
            i32::try_from(cap).unwrap_or(i32::MAX)
        );
        let rows = self.patience.wait(counted.fetch_all(&self.pool)).await.map_err(store_error)?;
        let depth = |kind, waiting, oldest_ms: Option<i64>, dead| Depth {
            kind,
            waiting: unsigned(waiting),
            oldest: milliseconds(oldest_ms.unwrap_or_default()),
            dead: unsigned(dead),
        };
        Ok(rows.into_iter().map(|row| depth(row.kind, row.waiting, row.oldest_ms, row.dead)).collect())
    }

    async fn now(&self) -> Result<OffsetDateTime, StoreError> {
        let now = sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#);
        self.patience.wait(now.fetch_one(&self.pool)).await.map_err(store_error)
    }

    async fn last_tick(&self, schedule: &str) -> Result<OffsetDateTime, StoreError> {
        let platform = TenantId::PLATFORM.to_string();
        let known = sqlx::query_scalar!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT last_tick FROM docket.job_schedules WHERE (SELECT ready FROM context) AND name = $2",
            platform,
            schedule
        );
        if let Some(tick) = self.patience.wait(known.fetch_optional(&self.pool)).await.map_err(store_error)? {
            return Ok(tick);
        }
        let begun = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             INSERT INTO docket.job_schedules (name, last_tick) SELECT $2, clock_timestamp() FROM context WHERE ready
             ON CONFLICT DO NOTHING",
            platform,
            schedule
        );
        self.patience.wait(begun.execute(&self.pool)).await.map_err(store_error)?;
        self.now().await
    }

    async fn fire(&self, tick: Tick<'_>) -> Result<u64, StoreError> {
        let (tenants, ids): (Vec<Uuid>, Vec<Uuid>) = tick.jobs.iter().map(|(tenant, id)| (tenant.0, *id)).unzip();
        let jobs = sqlx::query_scalar!(
            r#"SELECT docket.fire_schedule($1, $2, $3, $4, $5, $6) AS "jobs!""#,
            tick.schedule,
            tick.at,
            tick.kind,
            tick.payload.to_string(),
            &tenants,
            &ids
        );
        self.patience.wait(jobs.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>, StoreError> {
        let rows = sqlx::query_scalar!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             SELECT id FROM docket.tenants WHERE (SELECT ready FROM context) AND NOT suspended AND id <> $1::text::uuid",
            TenantId::PLATFORM.to_string()
        );
        let rows = self.patience.wait(rows.fetch_all(&self.pool)).await.map_err(store_error)?;
        Ok(rows.into_iter().map(TenantId).collect())
    }

    async fn hint(&self) -> bool {
        let mut place = self.listener.lock().await;
        if place.is_none() {
            let Ok(mut listener) = PgListener::connect_with(&beside(&self.pool, 1)).await else { return false };
            if listener.listen(CHANNEL).await.is_err() {
                return false;
            }
            *place = Some(listener);
        }
        let Some(listener) = place.as_mut() else { return false };
        // None: the connection was lost, and what was said meanwhile with it.
        let heard = matches!(listener.try_recv().await, Ok(Some(_)));
        if !heard {
            *place = None;
        }
        heard
    }
}

impl PgJobQueue {
    /// Puts jobs back without counting their attempt; how many were the caller's.
    async fn postpone(&self, jobs: &[(JobLease, Settlement)]) -> Result<u64, StoreError> {
        let (tenants, ids, tokens) = columns(jobs.iter().map(|(lease, _)| lease));
        let (mut delays, mut errors) = (Vec::new(), Vec::new());
        for (_, settlement) in jobs {
            if let Settlement::Postponed { delay, error } = settlement {
                delays.push(put_off(*delay));
                errors.push(error.clone());
            }
        }
        let postponed = sqlx::query_scalar!(
            r#"SELECT docket.postpone_jobs($1, $2, $3, $4, $5) AS "postponed!""#,
            &tenants,
            &ids,
            &tokens,
            &delays,
            &errors
        );
        self.patience.wait(postponed.fetch_one(&self.pool)).await.map(unsigned).map_err(store_error)
    }
}

/// The three columns by which jobs are named.
fn columns<'a>(jobs: impl Iterator<Item = &'a JobLease>) -> (Vec<Uuid>, Vec<Uuid>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for lease in jobs {
        columns.0.push(lease.tenant_id.0);
        columns.1.push(lease.job_id.0);
        columns.2.push(lease.token);
    }
    columns
}

/// A delay in milliseconds, such as the database can add to its clock.
fn put_off(delay: Duration) -> i64 {
    i64::try_from(delay.min(LONGEST_DELAY).as_millis()).unwrap_or(i64::MAX)
}

fn interval(length: Duration) -> Result<PgInterval, StoreError> {
    PgInterval::try_from(Duration::from_micros(u64::try_from(length.as_micros()).unwrap_or(u64::MAX)))
        .map_err(StoreError::Internal)
}

fn milliseconds(number: i64) -> Duration {
    Duration::from_millis(unsigned(number))
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

pub(super) fn queue_error(error: sqlx::Error) -> QueueError {
    match &error {
        sqlx::Error::Database(database) if database.code().as_deref() == Some(GIVEN_UP) => QueueError::LeaseLost,
        _ => QueueError::Store(store_error(error)),
    }
}
