//! Sinks: order per case, poison that parks its own case only, outages that cost nothing, many relays at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use uuid::Uuid;

use crate::world::{LEASE, Logged, Running, World, until};

fn cases(number: usize) -> Vec<Uuid> {
    (0..number).map(|_| Uuid::now_v7()).collect()
}

#[tokio::test]
async fn every_event_reaches_a_sink_once_and_in_the_order_of_its_case() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(40));
    world.emit(&cases, 1..=30).await;
    let running = Running::start(world.relay(vec![sink.clone()]));
    until("the backlog", || sink.taken() >= 1_200).await;
    world.emit(&cases, 31..=40).await;
    until("what came later", || sink.taken() >= 1_600).await;
    running.finish().await;
    let by_case = sink.by_case();
    assert_eq!(by_case.len(), 40);
    assert!(by_case.values().all(|sequences| *sequences == (1..=40).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_hint_beats_the_poll() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(1));
    let running = Running::start(world.relay_with(vec![sink.clone()], Duration::from_hours(1)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.emit(&cases, 1..=1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(sink.taken(), 0, "nobody told the relay");
    world.wakeups.committed(world.tenant);
    until("the event", || sink.taken() == 1).await;
    running.finish().await;
}

#[tokio::test]
async fn poison_parks_its_own_case_and_no_other_and_flows_when_it_is_cured() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(10));
    sink.refused.lock().insert((cases[3], 2));
    world.emit(&cases, 1..=5).await;
    let running = Running::start(world.relay(vec![sink.clone()]));
    until("the healthy cases", || sink.taken() > 9 * 5).await;
    world.emit(&cases, 6..=6).await;
    until("the healthy cases again", || sink.taken() > 9 * 6).await;
    assert_eq!(sink.by_case()[&cases[3]], [1]);
    sink.refused.lock().clear();
    until("the cured case", || sink.taken() == 60).await;
    running.finish().await;
    assert!(sink.by_case().values().all(|sequences| *sequences == [1, 2, 3, 4, 5, 6]));
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
    assert_eq!(world.count("SELECT count(*) FROM docket.deliveries").await, 0);
}

#[tokio::test]
async fn an_outage_opens_the_breaker_and_burns_no_attempt() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(5));
    sink.down.store(true, Ordering::SeqCst);
    world.emit(&cases, 1..=4).await;
    let running = Running::start(world.relay(vec![sink.clone()]));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = *sink.calls.lock();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*sink.calls.lock(), calls, "an open breaker leaves the sink alone");
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0, "nothing counts, nothing parks");
    sink.down.store(false, Ordering::SeqCst);
    until("recovery", || sink.taken() == 20).await;
    running.finish().await;
    assert!(sink.by_case().values().all(|sequences| *sequences == [1, 2, 3, 4]));
}

#[tokio::test]
async fn several_relays_share_the_work_and_double_nothing() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(20));
    let relays: Vec<_> = (0..3).map(|_| Running::start(world.relay(vec![sink.clone()]))).collect();
    world.emit(&cases, 1..=50).await;
    until("all of it", || sink.taken() >= 1_000).await;
    for relay in relays {
        relay.finish().await;
    }
    assert!(sink.by_case().values().all(|sequences| *sequences == (1..=50).collect::<Vec<_>>()));
}

#[tokio::test]
async fn a_relay_that_dies_is_replaced_after_its_lease() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(5));
    world.emit(&cases, 1..=2).await;
    let slow = Arc::new(crate::world::Stuck::default());
    let dying = Running::start(world.relay(vec![slow.clone()]));
    until("the first to hold the cursor", || slow.entered.load(Ordering::SeqCst)).await;
    dying.kill();
    let began = std::time::Instant::now();
    let running = Running::start(world.relay(vec![sink.clone()]));
    until("the second to take over", || sink.taken() == 10).await;
    assert!(began.elapsed() > LEASE / 2 && began.elapsed() < LEASE * 2, "{:?}", began.elapsed());
    running.finish().await;
}
