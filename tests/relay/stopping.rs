//! A relay that is told to stop while a receiver hangs: it lets go in time, and the next relay has the work at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use docket::application::ports::EventSink;
use uuid::Uuid;

use crate::receiver::{Manner, Receiver};
use crate::world::{Logged, Pace, Running, Stuck, World, until, until_some};

fn cases(number: usize) -> Vec<Uuid> {
    (0..number).map(|_| Uuid::now_v7()).collect()
}

/// Connections of the database that are inside a transaction, and what of ours they have locked.
async fn open(world: &World) -> i64 {
    let sql = "SELECT (SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid())
                    + (SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                       WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                         AND c.relnamespace = 'docket'::regnamespace)";
    world.count(sql).await
}

#[tokio::test]
async fn deliveries_of_a_relay_that_stops_are_with_the_next_one_at_once_under_their_own_ids() {
    let (world, receiver, cases) = (World::new().await, Receiver::start().await, cases(3));
    world.endpoint(&receiver.url()).await;
    receiver.behave(Manner::Hangs);
    world.emit(&cases, 1..=2).await;
    let first = Running::start(world.relay_at(&Pace::PATIENT, Vec::new()));
    let hanging = receiver.wait_for(3).await;
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes WHERE lease_token IS NOT NULL").await, 3);
    first.finish().await;
    let untouched = "SELECT count(*) FROM docket.delivery_lanes
                     WHERE lease_token IS NULL AND due_at <= now() AND attempts = 0 AND pending = 2";
    assert_eq!(world.count(untouched).await, 3, "free although the lease lasts two hours, and nothing counted");
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_attempts").await, 0);
    receiver.behave(Manner::Says(204, "", ""));
    let second = Running::start(world.relay_at(&Pace::PATIENT, Vec::new()));
    let arrived = receiver.wait_for(9).await;
    second.finish().await;
    for case in &cases {
        let of_case = |one: &&crate::receiver::Received| one.event()["subject"] == case.to_string();
        let ids: Vec<_> = arrived.iter().filter(of_case).map(|one| one.header("webhook-id").to_owned()).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(ids[0], ids[1], "the one that hung came again as itself");
        assert!(hanging.iter().any(|one| one.header("webhook-id") == ids[0]));
        assert_ne!(ids[1], ids[2]);
    }
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_attempts WHERE attempt = 1").await, 6);
}

#[tokio::test]
async fn what_is_on_its_way_when_a_relay_is_told_to_stop_may_still_arrive_and_is_settled() {
    let (world, receiver, cases) = (World::new().await, Receiver::start().await, cases(1));
    world.endpoint(&receiver.url()).await;
    receiver.behave(Manner::Takes(Duration::from_millis(700)));
    world.emit(&cases, 1..=1).await;
    let patient = Pace { finish_within: Duration::from_hours(1), ..Pace::PATIENT };
    let running = Running::start(world.relay_at(&patient, Vec::new()));
    receiver.wait_for(1).await;
    running.finish().await;
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0, "delivered and settled");
}

#[tokio::test]
async fn a_sink_that_hangs_when_its_relay_stops_gives_its_cursor_to_the_next_relay_at_once() {
    let (world, sink, cases) = (World::new().await, Arc::new(Logged::default()), cases(5));
    world.emit(&cases, 1..=2).await;
    let stuck = Arc::new(Stuck::default());
    let first = Running::start(world.relay_at(&Pace::PATIENT, vec![stuck.clone()]));
    until("the first to hold the cursor", || stuck.entered.load(Ordering::SeqCst)).await;
    first.finish().await;
    let second = Running::start(world.relay_at(&Pace::PATIENT, vec![sink.clone()]));
    until("the second to hand everything on", || sink.taken() == 10).await;
    second.finish().await;
    assert!(sink.by_case().values().all(|sequences| *sequences == [1, 2]));
}

#[tokio::test]
async fn nothing_is_locked_and_no_transaction_is_open_while_a_receiver_or_a_sink_hangs() {
    let (world, receiver, stuck) = (World::new().await, Receiver::start().await, Arc::new(Stuck::default()));
    world.endpoint(&receiver.url()).await;
    receiver.behave(Manner::Hangs);
    // It looks only when it is told to, so that in the end only the sends go on.
    let pace = Pace { poll: Duration::from_hours(1), ..Pace::PATIENT };
    world.emit(&cases(4), 1..=1).await;
    let running = Running::start(world.relay_at(&pace, vec![stuck.clone() as Arc<dyn EventSink>]));
    until("both to be asked", || {
        world.wakeups.committed(world.tenant);
        receiver.received().len() == 4 && stuck.entered.load(Ordering::SeqCst)
    })
    .await;
    // A lock or transaction that lasts as long as the sends would never go.
    until_some("the last statement to end", async || (open(&world).await == 0).then_some(())).await;
    let held = "SELECT (SELECT count(*) FROM docket.delivery_lanes WHERE lease_token IS NOT NULL)
                     + (SELECT count(*) FROM docket.relay_cursors WHERE lease_token IS NOT NULL)";
    assert_eq!(world.count(held).await, 5, "four lanes and a cursor are held, by their tokens alone");
    assert_eq!(receiver.received().len(), 4);
    running.finish().await;
}
