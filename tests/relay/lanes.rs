//! What the store promises about claims: one holder at a time, and nothing for whoever holds an old token.

use std::time::Duration;

use docket::application::ports::RelayStore;
use docket::application::ports::event_feed::FeedPosition;
use docket::application::ports::event_sink::Start;
use docket::application::ports::relay_store::{ClaimedHead, Diverted, LaneClaim, Outcome, Room, Settlement};
use docket_domain::ids::{CaseId, DestinationId, EventId};
use uuid::Uuid;

use crate::world::{World, until_some};

const LONG: Duration = Duration::from_hours(1);
/// Nobody is ever called there.
const NOWHERE: &str = "http://127.0.0.1:1/";

/// A tenant with an endpoint and one event in each of these cases, written as deliveries.
async fn waiting(cases: &[Uuid]) -> (World, DestinationId) {
    let world = World::new().await;
    let endpoint = world.endpoint(NOWHERE).await;
    world.emit(cases, 1..=2).await;
    // Transactions of other tests on the same server hold the horizon back for a moment.
    let written = || async {
        world.store().fan_out(world.tenant, 100).await.unwrap();
        world.count("SELECT count(*) FROM docket.deliveries").await
    };
    let wanted = i64::try_from(cases.len() * 2).unwrap();
    until_some("the deliveries to be written", async || (written().await == wanted).then_some(())).await;
    (world, endpoint)
}

async fn claim(world: &World, lease: Duration) -> Vec<ClaimedHead> {
    let room = Room { total: 10, each: 10, ..Room::default() };
    world.store().claim(world.tenant, &room, lease).await.unwrap()
}

/// Everything that stands in the lanes and behind them.
async fn lanes(world: &World) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT to_jsonb(l)::text || (SELECT jsonb_agg(d.sequence ORDER BY d.sequence)::text FROM docket.deliveries d
                                      WHERE d.destination_id = l.destination_id AND d.case_id = l.case_id)
         FROM docket.delivery_lanes l ORDER BY l.destination_id, l.case_id",
    )
    .fetch_all(&world.owner)
    .await
    .unwrap()
}

fn settlement(head: &ClaimedHead, outcome: Outcome) -> Settlement {
    let (destination, case_id, sequence) = (head.destination, head.event.case_id, head.event.sequence);
    Settlement { destination, case_id, sequence, token: head.token, outcome, error: None, attempt: None }
}

#[tokio::test]
async fn a_lane_that_is_handed_back_is_claimable_at_once_with_nothing_counted() {
    let cases = [Uuid::now_v7(), Uuid::now_v7()];
    let (world, _) = waiting(&cases).await;
    sqlx::query("UPDATE docket.delivery_lanes SET attempts = 3, last_error = 'HTTP 500'")
        .execute(&world.owner)
        .await
        .unwrap();
    let first = claim(&world, LONG).await;
    assert_eq!((first.len(), claim(&world, LONG).await.len()), (2, 0), "held for an hour");
    let claims: Vec<LaneClaim> = first.iter().map(LaneClaim::from).collect();
    assert_eq!(world.store().hand_back(world.tenant, &claims[..1]).await.unwrap(), 1);
    let second = claim(&world, LONG).await;
    assert_eq!(second.len(), 1, "the other one is still held");
    assert_eq!(second[0].event.case_id, claims[0].case_id);
    assert_eq!((second[0].attempts, second[0].event.sequence), (3, 1));
    assert_ne!(second[0].token, claims[0].token);
    let before = lanes(&world).await;
    assert_eq!(world.store().hand_back(world.tenant, &claims[..1]).await.unwrap(), 0, "the token is an old one");
    assert_eq!(lanes(&world).await, before);
    assert_eq!(world.store().hand_back(world.tenant, &claims).await.unwrap(), 1);
    assert_eq!(claim(&world, LONG).await.len(), 1);
}

#[tokio::test]
async fn an_old_token_settles_nothing_whatever_the_outcome() {
    let (world, _) = waiting(&[Uuid::now_v7()]).await;
    let old = claim(&world, Duration::ZERO).await.remove(0);
    let new = claim(&world, LONG).await.remove(0);
    assert_ne!(old.token, new.token);
    let before = lanes(&world).await;
    for outcome in [
        Outcome::Delivered,
        Outcome::Retry { attempts: 4, after: Duration::ZERO },
        Outcome::Dead { attempts: 8 },
        Outcome::Disable,
    ] {
        let settled = world.store().settle(world.tenant, &settlement(&old, outcome.clone())).await.unwrap();
        assert!(!settled, "{outcome:?} was settled with an old token");
        assert_eq!(lanes(&world).await, before, "{outcome:?}");
    }
    assert_eq!(world.count("SELECT count(*) FROM docket.webhook_endpoints WHERE enabled").await, 1);
    assert!(world.store().settle(world.tenant, &settlement(&new, Outcome::Delivered)).await.unwrap());
    assert!(!world.store().settle(world.tenant, &settlement(&new, Outcome::Delivered)).await.unwrap(), "it is over");
    assert_eq!(claim(&world, LONG).await[0].event.sequence, 2);
}

#[tokio::test]
async fn an_old_token_moves_no_cursor_diverts_nothing_and_frees_nothing() {
    let (world, cases) = (World::new().await, [Uuid::now_v7()]);
    world.emit(&cases, 1..=3).await;
    let (store, tenant) = (world.store(), world.tenant);
    let acquire = async |lease| store.acquire(tenant, "logged", Start::Beginning, lease).await.unwrap();
    let mut old = acquire(Duration::ZERO).await.unwrap();
    let new = acquire(LONG).await.unwrap();
    assert!(acquire(LONG).await.is_none(), "held for an hour");
    let look = "SELECT to_jsonb(c)::text FROM docket.relay_cursors c";
    let before: String = sqlx::query_scalar(look).fetch_one(&world.owner).await.unwrap();
    let read = until_some("the first event to be read", async || {
        store.read(tenant, "logged", new.position, 1).await.unwrap().into_iter().next()
    });
    let event = read.await.event;
    old.position = FeedPosition { transaction_id: event.transaction_id, id: event.id.0 };
    let diverted = Diverted {
        case_id: CaseId(cases[0]),
        sequence: 1,
        event_id: EventId(event.id.0),
        attempts: 1,
        error: None,
        after: Duration::ZERO,
    };
    assert!(!store.advance(tenant, "logged", old, &[diverted], LONG).await.unwrap());
    store.release(tenant, "logged", old.token).await.unwrap();
    let after: String = sqlx::query_scalar(look).fetch_one(&world.owner).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0);
    assert!(acquire(LONG).await.is_none(), "still the other's");
    store.release(tenant, "logged", new.token).await.unwrap();
    assert_eq!(acquire(LONG).await.unwrap().position, new.position, "free at once, where it was");
}
