//! Several relays on one database, webhooks only: one order a case, nothing lost, whoever sends it.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use crate::receiver::{Received, Receiver};
use crate::world::{Pace, Running, World, until};

/// Sequences by case in the order of arrival.
pub fn by_case(received: &[Received]) -> BTreeMap<String, Vec<u64>> {
    let mut cases: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for event in received.iter().map(Received::event) {
        let case = event["subject"].as_str().unwrap().to_owned();
        cases.entry(case).or_default().push(event["sequence"].as_str().unwrap().parse().unwrap());
    }
    cases
}

#[tokio::test]
async fn two_relays_send_the_webhooks_of_a_case_in_order_and_each_once() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.endpoint(&receiver.url()).await;
    let cases: Vec<Uuid> = (0..20).map(|_| Uuid::now_v7()).collect();
    let pace = Pace { poll: Duration::from_millis(20), lease: Duration::from_hours(1), ..Pace::default() };
    let relays = [(); 2].map(|()| Running::start(world.relay_at(&pace, Vec::new())));
    world.emit(&cases, 1..=15).await;
    until("all of it", || receiver.received().len() >= 300).await;
    for relay in relays {
        relay.finish().await;
    }
    let by_case = by_case(&receiver.received());
    assert_eq!(by_case.len(), 20);
    assert!(by_case.values().all(|sequences| *sequences == (1..=15).collect::<Vec<_>>()), "{by_case:?}");
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
}

#[tokio::test]
async fn a_relay_that_dies_among_others_loses_and_reorders_nothing() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.endpoint(&receiver.url()).await;
    let cases: Vec<Uuid> = (0..12).map(|_| Uuid::now_v7()).collect();
    let mut relays = [(); 3].map(|()| Some(Running::start(world.relay(Vec::new())))).into_iter();
    world.emit(&cases, 1..=6).await;
    until("some of it", || receiver.received().len() >= 20).await;
    relays.next().flatten().unwrap().kill();
    world.emit(&cases, 7..=12).await;
    until("all of it", || by_case(&receiver.received()).values().map(|of| distinct(of).len()).sum::<usize>() == 144)
        .await;
    for relay in relays.flatten() {
        relay.finish().await;
    }
    for (case, sequences) in by_case(&receiver.received()) {
        assert_eq!(distinct(&sequences), (1..=12).collect::<Vec<_>>(), "{case}: {sequences:?}");
    }
}

/// Without what came twice; in the order of first arrival.
pub fn distinct(sequences: &[u64]) -> Vec<u64> {
    let mut seen = Vec::new();
    for sequence in sequences {
        if !seen.contains(sequence) {
            seen.push(*sequence);
        }
    }
    seen
}
