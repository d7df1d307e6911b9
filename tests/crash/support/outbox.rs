//! Events that are written past the service.

use sqlx::PgPool;
use uuid::Uuid;

use super::random::Random;

/// Commits the events of a case one after the other, each at a random time, of at most `longest`
/// milliseconds, after its id was taken.
pub async fn commit_slowly(owner: PgPool, tenant: Uuid, case: Uuid, events: u64, longest: u64, mut random: Random) {
    for sequence in 1..=events {
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
        tokio::time::sleep(random.millis(0, longest)).await;
        transaction.commit().await.unwrap();
    }
}
