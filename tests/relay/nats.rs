//! NATS `JetStream` as a sink, against the real server: order, repetitions, and a server that goes away and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use docket::adapters::nats::{Credentials, Link, NatsProbe, NatsSettings, NatsSink};
use docket::application::ports::EventSink;
use docket::application::ports::health::{HealthProbe, ProbeState};
use serde_json::Value;
use uuid::Uuid;

use crate::nats_server::NatsServer;
use crate::world::{Running, World, until_some};

const STREAM: &str = "TEST_EVENTS";

fn settings(url: String) -> NatsSettings {
    NatsSettings {
        url,
        credentials: Credentials::OfUrl,
        stream: STREAM.to_owned(),
        subject_prefix: "test.events".to_owned(),
        connect_timeout: Duration::from_secs(5),
        ack_timeout: Duration::from_secs(5),
        duplicate_window: Duration::from_mins(10),
        keep: Duration::ZERO,
        replicas: 1,
    }
}

fn sink(server: &NatsServer) -> (Arc<Link>, Arc<dyn EventSink>) {
    let link = Arc::new(Link::new(settings(server.url())));
    (link.clone(), Arc::new(NatsSink::new(link)))
}

/// What the stream holds: the headers' message id, the subject and the envelope, in the stream's order.
async fn stored(context: &Context) -> Vec<(String, String, Value)> {
    let Ok(mut stream) = context.get_stream(STREAM).await else { return Vec::new() };
    let last = stream.info().await.unwrap().state.last_sequence;
    let mut messages = Vec::new();
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        let id = message.headers.get("Nats-Msg-Id").unwrap().to_string();
        messages.push((id, message.subject.to_string(), serde_json::from_slice(&message.payload).unwrap()));
    }
    messages
}

async fn count(context: &Context) -> u64 {
    match context.get_stream(STREAM).await {
        Ok(mut stream) => stream.info().await.map_or(0, |info| info.state.messages),
        Err(_) => 0,
    }
}

async fn until_stored(context: &Context, wanted: u64) {
    until_some("the stream to hold them", async || (count(context).await >= wanted).then_some(())).await;
}

fn sequences(messages: &[(String, String, Value)]) -> BTreeMap<String, Vec<u64>> {
    let mut cases: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, _, envelope) in messages {
        let case = envelope["subject"].as_str().unwrap().to_owned();
        cases.entry(case).or_default().push(envelope["sequence"].as_str().unwrap().parse().unwrap());
    }
    cases
}

fn cases(number: usize) -> Vec<Uuid> {
    (0..number).map(|_| Uuid::now_v7()).collect()
}

#[tokio::test]
async fn events_of_many_cases_arrive_in_the_order_of_each_case_as_cloud_events() {
    let Some(server) = NatsServer::start().await else { return };
    let (world, (link, sink), cases) = (World::new().await, sink(&server), cases(25));
    world.emit(&cases, 1..=12).await;
    let running = Running::start(world.relay(vec![sink]));
    let context = server.client().await;
    until_stored(&context, 300).await;
    running.finish().await;
    let messages = stored(&context).await;
    let by_case = sequences(&messages);
    assert_eq!((messages.len(), by_case.len()), (300, 25));
    assert!(by_case.values().all(|sequences| *sequences == (1..=12).collect::<Vec<_>>()));
    let (id, subject, envelope) = &messages[0];
    assert_eq!(envelope["id"], *id, "the stream deduplicates by the event's id");
    assert_eq!(*subject, format!("test.events.{}.case.updated", world.tenant));
    assert_eq!((&envelope["specversion"], &envelope["type"]), (&"1.0".into(), &"docket.case.updated".into()));
    assert_eq!(NatsProbe(link).check().await, ProbeState::Up);
}

#[tokio::test]
async fn an_event_that_is_handed_on_again_is_stored_once() {
    let Some(server) = NatsServer::start().await else { return };
    let (world, (_, sink), cases) = (World::new().await, sink(&server), cases(5));
    world.emit(&cases, 1..=4).await;
    let running = Running::start(world.relay(vec![sink.clone()]));
    let context = server.client().await;
    until_stored(&context, 20).await;
    running.finish().await;
    // The cursor goes back to the beginning, as after a relay that died before it could move it.
    sqlx::query("DELETE FROM docket.relay_cursors").execute(&world.owner).await.unwrap();
    let running = Running::start(world.relay(vec![sink]));
    world.emit(&cases[..1], 5..=5).await;
    until_stored(&context, 21).await;
    running.finish().await;
    assert_eq!(stored(&context).await.len(), 21, "twenty events came twice and were stored once");
}

#[tokio::test]
async fn a_server_that_stops_and_comes_back_loses_nothing_and_burns_no_attempt() {
    let Some(mut server) = NatsServer::start().await else { return };
    let (world, (link, sink), cases) = (World::new().await, sink(&server), cases(10));
    let running = Running::start(world.relay(vec![sink]));
    world.emit(&cases, 1..=3).await;
    let context = server.client().await;
    until_stored(&context, 30).await;
    server.stop();
    world.emit(&cases, 4..=6).await;
    let probe = NatsProbe(link);
    until_some("the probe to notice", async || matches!(probe.check().await, ProbeState::Down(_)).then_some(())).await;
    world.emit(&cases, 7..=9).await;
    assert!(!probe.required(), "the service stays ready");
    server.resume().await;
    let context = server.client().await;
    until_stored(&context, 90).await;
    running.finish().await;
    let by_case = sequences(&stored(&context).await);
    assert!(by_case.values().all(|sequences| *sequences == (1..=9).collect::<Vec<_>>()), "{by_case:?}");
    assert_eq!(world.count("SELECT count(*) FROM docket.delivery_lanes").await, 0, "nothing counted, nothing parked");
    assert_eq!(world.count("SELECT count(*) FROM docket.deliveries").await, 0);
    assert_eq!(probe.check().await, ProbeState::Up);
}

#[tokio::test]
async fn a_stream_that_takes_other_subjects_is_named_and_nothing_is_lost_until_it_is_put_right() {
    let Some(server) = NatsServer::start().await else { return };
    let context = server.client().await;
    let config = |subjects: &[&str]| async_nats::jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: subjects.iter().map(|subject| (*subject).to_owned()).collect(),
        ..Default::default()
    };
    context.create_stream(config(&["elsewhere.>"])).await.unwrap();
    let (world, (link, sink), cases) = (World::new().await, sink(&server), cases(2));
    world.emit(&cases, 1..=2).await;
    let running = Running::start(world.relay(vec![sink]));
    let probe = NatsProbe(link);
    let said = until_some("the probe to say it", async || match probe.check().await {
        ProbeState::Down(said) => Some(said),
        ProbeState::Up => None,
    });
    assert!(said.await.contains("does not take the subjects `test.events.>`"));
    context.update_stream(config(&["elsewhere.>", "test.events.>"])).await.unwrap();
    until_stored(&context, 4).await;
    running.finish().await;
}

#[tokio::test]
async fn a_message_that_the_stream_finds_too_large_parks_its_case_only() {
    let Some(server) = NatsServer::start().await else { return };
    let context = server.client().await;
    let config = async_nats::jetstream::stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["test.events.>".to_owned()],
        max_message_size: 2_000,
        ..Default::default()
    };
    context.create_stream(config).await.unwrap();
    let (world, (_, sink), cases) = (World::new().await, sink(&server), cases(3));
    world.emit(&cases, 1..=1).await;
    let large =
        "UPDATE docket.outbox_events SET data = jsonb_build_object('pad', repeat('x', 3000)) WHERE case_id = $1";
    sqlx::query(large).bind(cases[1]).execute(&world.owner).await.unwrap();
    world.emit(&cases, 2..=2).await;
    let running = Running::start(world.relay(vec![sink]));
    until_stored(&context, 4).await;
    until_some("the lane", async || {
        (world.count("SELECT count(*) FROM docket.delivery_lanes").await == 1).then_some(())
    })
    .await;
    running.finish().await;
    let by_case = sequences(&stored(&context).await);
    assert!(by_case.len() == 2 && !by_case.contains_key(&cases[1].to_string()));
}
