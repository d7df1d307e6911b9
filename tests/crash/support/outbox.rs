//! Events that are written past the service.

use sqlx::PgPool;
use uuid::Uuid;

use super::random::Random;
use super::settings::may_begin;

/// How many events a case gets, and how slowly.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// All of them, when there is time.
    pub events: u64,
    /// Those that come even when the time for all batteries is up.
    pub least: u64,
    /// The longest time between an event's id and its commit, in milliseconds.
    pub longest: u64,
}

/// Commits the events of a case one after the other, each at a random time after its id was taken; how many that were.
pub async fn commit_slowly(owner: PgPool, tenant: Uuid, case: Uuid, pace: Pace, mut random: Random) -> u64 {
    for sequence in 1..=pace.events {
        if !may_begin(sequence, pace.least) {
            return sequence - 1;
        }
        let mut transaction = owner.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at)
             VALUES ($1, uuidv7(), $2, $3, 'case.updated', $1, '{}', now())",
        )
        .bind(tenant)
        .bind(case)
        .bind(i64::try_from(sequence).unwrap())
        .execute(&mut *transaction)
        .await
        .unwrap();
        tokio::time::sleep(random.millis(0, pace.longest)).await;
        transaction.commit().await.unwrap();
    }
    pace.events
}
