//! How the relay looks for work: often, so it must cost the same whatever lies behind it.

use uuid::Uuid;

use crate::world::World;

/// What a session reads of these tables by walking through them, in rows: ten looks, because a session's sixth has the plan
/// for any tenant.
async fn rows_walked_through(world: &World) -> i64 {
    let mut look = world.pool.begin().await.unwrap();
    for _ in 0..10 {
        sqlx::query("SELECT count(*) FROM docket.relay_backlog(ARRAY['logged'])").execute(&mut *look).await.unwrap();
    }
    sqlx::query_scalar(
        "SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables
         WHERE relname IN ('outbox_events', 'delivery_lanes')",
    )
    .fetch_one(&mut *look)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_look_for_work_walks_through_no_table_however_many_events_were_handed_on_or_wait() {
    let world = World::new().await;
    world.endpoint("http://127.0.0.1:1/").await;
    let cases: Vec<Uuid> = (0..20_000).map(|_| Uuid::now_v7()).collect();
    world.emit(&cases, 1..=1).await;
    for statement in [
        "INSERT INTO docket.tenants (id, name, display_name, created_at)
         SELECT gen_random_uuid(), 'quiet-' || n, 'quiet', now() FROM generate_series(1, 3) AS n",
        // Everything was handed on, and half of it waits for its next try.
        "UPDATE docket.relay_cursors SET (transaction_id, event_id) =
             (SELECT transaction_id, id FROM docket.outbox_events ORDER BY 1 DESC, 2 DESC LIMIT 1)",
        "INSERT INTO docket.delivery_lanes (tenant_id, destination_id, case_id, pending, due_at)
         SELECT tenant_id, (SELECT id FROM docket.webhook_endpoints), case_id, 1, now() + interval '1 hour'
         FROM docket.outbox_events ORDER BY id LIMIT 10000",
        "ANALYZE docket.outbox_events, docket.delivery_lanes, docket.relay_cursors",
    ] {
        sqlx::query(statement).execute(&world.owner).await.unwrap();
    }
    assert_eq!(rows_walked_through(&world).await, 0);
}
