//! Endpoints that are down for longer than the attempts last, and single events on which a living endpoint hangs.

use std::time::Duration;

use docket_domain::ids::DestinationId;
use uuid::Uuid;

use crate::receiver::{Manner, Receiver};
use crate::together::{by_case, distinct};
use crate::world::{Pace, Running, World, until, until_some};

/// More tries of a case than there are attempts.
const ROUNDS: i64 = 10;

fn quick() -> Pace {
    Pace { lease: Duration::from_hours(1), timeout: Duration::from_millis(400), ..Pace::default() }
}

/// Makes everything due whose turn has not come, as if its wait were over.
async fn time_passes(world: &World) {
    sqlx::query("UPDATE docket.delivery_lanes SET due_at = now() WHERE lease_token IS NULL")
        .execute(&world.owner)
        .await
        .unwrap();
}

/// Outages in the log of the case that was tried least; of three cases.
async fn tries_of_each_case(world: &World) -> i64 {
    world
        .count(
            "SELECT CASE WHEN count(*) = 3 THEN min(tries) ELSE 0 END FROM (
                 SELECT count(*) AS tries FROM docket.delivery_attempts WHERE outcome = 'outage' GROUP BY case_id
             ) AS of_case",
        )
        .await
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_longer_than_the_attempts_last_gets_everything_in_order_from_two_relays() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    world.endpoint(&receiver.url()).await;
    receiver.behave(Manner::Says(503, "", "maintenance"));
    let cases: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    world.emit(&cases, 1..=3).await;
    for round in 1..=ROUNDS {
        // New processes each time: what their breakers knew is forgotten, and each counts on its own.
        let relays = [(); 2].map(|()| Running::start(world.relay_at(&quick(), Vec::new())));
        until_some("a try of each case", async || (tries_of_each_case(&world).await >= round).then_some(())).await;
        for relay in relays {
            relay.finish().await;
        }
        time_passes(&world).await;
    }
    let uncounted = "SELECT count(*) FROM docket.delivery_lanes WHERE state = 'ready' AND attempts = 0";
    assert_eq!(world.count(uncounted).await, 3);
    let failed = receiver.received().len();
    receiver.behave(Manner::Says(204, "", ""));
    let relays = [(); 2].map(|()| Running::start(world.relay_at(&quick(), Vec::new())));
    until("everything", || receiver.received().len() >= failed + 9).await;
    for relay in relays {
        relay.finish().await;
    }
    let by_case = by_case(&receiver.received()[failed..]);
    assert_eq!(by_case.len(), 3);
    assert!(by_case.values().all(|sequences| *sequences == [1, 2, 3]), "{by_case:?}");
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
}

/// An event of this case is delivered.
async fn deliver(world: &World, endpoint: DestinationId, case: Uuid, sequence: i64) {
    world.emit(&[case], sequence..=sequence).await;
    until_some("an event of the healthy case to be noted as taken", async || {
        let taken: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM docket.delivery_attempts
             WHERE destination_id = $1 AND case_id = $2 AND sequence = $3 AND outcome = 'delivered'",
        )
        .bind(endpoint.0)
        .bind(case)
        .bind(sequence)
        .fetch_one(&world.owner)
        .await
        .unwrap();
        (taken == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_on_which_an_endpoint_hangs_that_takes_others_is_given_up_after_the_last_attempt() {
    let (world, receiver) = (World::new().await, Receiver::start().await);
    let endpoint = world.endpoint(&receiver.url()).await;
    let (sick, well) = (Uuid::now_v7(), Uuid::now_v7());
    receiver.poison_with(&sick.to_string(), Manner::Hangs);
    world.emit(&[sick], 1..=2).await;
    let running = Running::start(world.relay_at(&quick(), Vec::new()));
    let tries = "SELECT count(*) FROM docket.delivery_attempts WHERE outcome = 'outage'";
    let settled = "SELECT count(*) FROM docket.delivery_lanes WHERE lease_token IS NULL AND last_error IS NOT NULL";
    let dead = "SELECT count(*) FROM docket.delivery_lanes WHERE state = 'dead'";
    let mut round = 0;
    while world.count(dead).await == 0 {
        round += 1;
        assert!(round < 30, "it is never given up");
        until_some("a try to be over", async || {
            let over = world.count(tries).await >= round && world.count(settled).await == 1;
            over.then_some(())
        })
        .await;
        deliver(&world, endpoint, well, round).await;
        time_passes(&world).await;
    }
    running.finish().await;
    assert_eq!(world.count("SELECT attempts::bigint FROM docket.delivery_lanes").await, 8);
    assert!(world.count(tries).await >= 9, "the first outage said nothing of the event and did not count");
    let by_case = by_case(&receiver.received());
    assert_eq!(distinct(&by_case[&sick.to_string()]), [1], "what is behind it is parked");
    assert_eq!(by_case[&well.to_string()], (1..=u64::try_from(round).unwrap()).collect::<Vec<_>>());
}
