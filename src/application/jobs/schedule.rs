//! Schedules: jobs that are enqueued by the clock.
//!
//! A tick is an instant that a cron expression names, in UTC. Every process looks whether a tick has come that led to no jobs
//! yet; comparing and remembering is one statement in the database, so one process enqueues it. Ticks that nobody
//! looked at collapse into the latest. The jobs carry a unique key: while one waits or runs, the next tick adds none.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::Cron;
use docket_domain::ids::TenantId;
use serde_json::Value;
use time::OffsetDateTime;

use crate::application::ports::job_queue::Tick;
use crate::application::ports::{Clock, JobQueue, StoreError};

/// For whom a schedule enqueues jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// One job, of the platform.
    Platform,
    /// One job for each tenant that is not suspended.
    EachTenant,
}

/// A kind of job, and when.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The name, by which the last tick is remembered.
    pub name: &'static str,
    /// The kind of the jobs.
    pub kind: &'static str,
    /// Their payload.
    pub payload: Value,
    /// For whom.
    pub audience: For,
    cron: Cron,
}

/// The text is no cron expression.
#[derive(Debug, thiserror::Error)]
#[error("{expression:?} is no cron expression: {reason}")]
pub struct InvalidCron {
    expression: String,
    reason: String,
}

impl Schedule {
    /// A schedule by a cron expression of five fields: minute, hour, day of the month, month, day of the week; UTC.
    pub fn new(
        name: &'static str,
        expression: &str,
        kind: &'static str,
        payload: Value,
        audience: For,
    ) -> Result<Self, InvalidCron> {
        let cron = Cron::from_str(expression)
            .map_err(|error| InvalidCron { expression: expression.to_owned(), reason: error.to_string() })?;
        Ok(Self { name, kind, payload, audience, cron })
    }

    /// The latest tick at or before an instant; none when there is none in the years that cron expressions cover.
    pub fn latest_tick(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let now = DateTime::<Utc>::from_timestamp(now.unix_timestamp(), 0)?;
        let tick = self.cron.find_previous_occurrence(&now, true).ok()?;
        OffsetDateTime::from_unix_timestamp(tick.timestamp()).ok()
    }
}

/// Enqueues the jobs of every schedule whose time has come; how many.
pub async fn fire_due(queue: &dyn JobQueue, ids: &dyn Clock, schedules: &[Schedule]) -> Result<u64, StoreError> {
    let mut enqueued = 0;
    if schedules.is_empty() {
        return Ok(enqueued);
    }
    let now = queue.now().await?;
    for schedule in schedules {
        let last = queue.last_tick(schedule.name).await?;
        let Some(at) = schedule.latest_tick(now).filter(|tick| *tick > last) else { continue };
        let tenants = match schedule.audience {
            For::Platform => vec![TenantId::PLATFORM],
            For::EachTenant => queue.tenants().await?,
        };
        let jobs: Vec<_> = tenants.into_iter().map(|tenant| (tenant, ids.new_id())).collect();
        let (kind, payload) = (schedule.kind, &schedule.payload);
        enqueued += queue.fire(Tick { schedule: schedule.name, at, kind, payload, jobs: &jobs }).await?;
    }
    Ok(enqueued)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::macros::datetime;

    use super::*;

    fn schedule(expression: &str) -> Schedule {
        Schedule::new("nightly", expression, "probe", Value::Null, For::Platform).unwrap()
    }

    #[test]
    fn the_latest_tick_is_the_last_that_has_come() {
        let nightly = schedule("30 3 * * *");
        assert_eq!(nightly.latest_tick(datetime!(2026-11-21 03:29:59 UTC)), Some(datetime!(2026-11-20 03:30 UTC)));
        assert_eq!(nightly.latest_tick(datetime!(2026-11-21 03:30:00 UTC)), Some(datetime!(2026-11-21 03:30 UTC)));
        let mondays = schedule("0 6 * * 1");
        assert_eq!(mondays.latest_tick(datetime!(2026-11-21 12:00 UTC)), Some(datetime!(2026-11-16 06:00 UTC)));
        let leap = schedule("0 0 29 2 *");
        assert_eq!(leap.latest_tick(datetime!(2026-11-21 12:00 UTC)), Some(datetime!(2024-02-29 00:00 UTC)));
    }

    #[test]
    fn what_is_no_cron_expression_is_refused_with_its_text() {
        for bad in ["", "every night", "61 * * * *", "* * * *"] {
            let error = Schedule::new("x", bad, "probe", Value::Null, For::Platform).unwrap_err();
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }
}
