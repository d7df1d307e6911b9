//! Claims and what becomes of them: a panic, a place that was free too late, an endpoint that is deleted meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket::application::ports::event_feed::StoredEvent;
use docket::application::ports::event_sink::SinkError;
use docket::application::ports::{EventSink, RelayStore};
use docket_domain::ids::TenantId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::receiver::{Manner, Receiver};
use crate::world::{Logged, Pace, Running, World, until, until_some};

/// Panics on the first call.
#[derive(Default)]
struct Nervous {
    calm: AtomicBool,
    sink: Logged,
}

#[async_trait]
impl EventSink for Nervous {
    fn name(&self) -> &'static str {
        "nervous"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        assert!(self.calm.swap(true, Ordering::SeqCst), "on purpose");
        self.sink.deliver(events).await
    }
}

#[tokio::test]
async fn a_relay_that_is_started_again_after_a_panic_serves_the_tenant_whose_turn_it_was() {
    let (world, sink) = (World::new().await, Arc::new(Nervous::default()));
    world.emit(&[Uuid::now_v7()], 1..=2).await;
    let relay = world.relay(vec![sink.clone()]);
    let first = tokio::time::timeout(Duration::from_secs(30), relay.run(CancellationToken::new())).await;
    assert!(first.expect("it ends by itself").is_err());
    let again = Running::start(relay);
    until("both events", || sink.sink.taken() == 2).await;
    again.finish().await;
}

#[tokio::test]
async fn a_send_that_found_no_place_in_time_begins_under_a_new_claim() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    let takes = Duration::from_millis(1_500);
    receiver.behave(Manner::Takes(takes));
    for name in ["first", "second"] {
        world.tenant = TenantId(Uuid::now_v7());
        sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, now())")
            .bind(world.tenant.0)
            .bind(name)
            .execute(&world.owner)
            .await
            .unwrap();
        world.endpoint(&receiver.url()).await;
        world.emit(&[Uuid::now_v7()], 1..=1).await;
    }
    let timeout = Duration::from_secs(2);
    let pace = Pace { lease: Duration::from_secs(3), timeout, concurrency: 1, ..Pace::default() };
    let running = Running::start(world.relay_at(&pace, Vec::new()));
    receiver.wait_for(2).await;
    let left: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM max(due_at) - clock_timestamp())::double precision FROM docket.delivery_lanes
         WHERE lease_token IS NOT NULL",
    )
    .fetch_one(&world.owner)
    .await
    .unwrap();
    assert!(left > timeout.as_secs_f64(), "{left} s are left of the claim");
    running.finish().await;
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
    assert_eq!(receiver.received().len(), 2, "each once");
}

#[tokio::test]
async fn an_endpoint_that_is_being_deleted_gets_nothing_more() {
    let world = World::new().await;
    let endpoint = world.endpoint("http://127.0.0.1:1/").await;
    world.emit(&[Uuid::now_v7()], 1..=2).await;
    let mut deleting = world.owner.begin().await.unwrap();
    sqlx::query("DELETE FROM docket.webhook_endpoints WHERE id = $1")
        .bind(endpoint.0)
        .execute(&mut *deleting)
        .await
        .unwrap();
    let (store, tenant) = (world.store(), world.tenant);
    let writing = tokio::spawn(async move {
        // Transactions of other tests on the same server hold the horizon back for a moment.
        while store.fan_out(tenant, 100).await.unwrap() != Some(2) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until_some("the deliveries to wait for the deletion", async || (world.count(waits).await > 0).then_some(())).await;
    deleting.commit().await.unwrap();
    writing.await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM docket.deliveries").await, 0);
}

#[tokio::test]
async fn what_waits_for_a_disabled_endpoint_is_counted_and_not_late() {
    let world = World::new().await;
    world.endpoint("http://127.0.0.1:1/").await;
    world.emit(&[Uuid::now_v7()], 1..=2).await;
    let store = world.store();
    until_some("the deliveries", async || {
        store.fan_out(world.tenant, 100).await.unwrap();
        (world.count("SELECT count(*) FROM docket.deliveries").await == 2).then_some(())
    })
    .await;
    for (statement, pending, late) in [
        ("UPDATE docket.delivery_lanes SET waiting_since = now() - interval '1 hour'", 2, true),
        ("UPDATE docket.webhook_endpoints SET enabled = false", 2, false),
        ("UPDATE docket.webhook_endpoints SET enabled = true", 2, true),
    ] {
        sqlx::query(statement).execute(&world.owner).await.unwrap();
        let waiting = store.waiting().await.unwrap();
        let webhook = waiting.iter().find(|one| one.sink == "webhook").unwrap();
        assert_eq!((webhook.pending, webhook.oldest_seconds > 3_000.0), (pending, late), "{statement}");
    }
}
