//! Several processes on one database: what one commits, the others learn at once, and nobody hears himself.

use std::sync::Arc;
use std::time::Duration;

use docket::adapters::postgres::PgWakeupChannel;
use docket::application::events::wakeups::Wakeups;
use docket::application::ports::WakeupChannel;
use docket::application::ports::wakeup_channel::Announcement;
use docket::config::ProcessRole;
use docket::entrypoints::worker::{Service, relay};
use docket_domain::ids::TenantId;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::receiver::Receiver;
use crate::support::TestApp;
use crate::webhooks::{local, register};

#[tokio::test]
async fn what_a_process_that_only_answers_commits_is_handed_on_by_another_that_never_polls() {
    let app = TestApp::start_with(|config| {
        local(config);
        config.server.role = ProcessRole::Api;
    })
    .await;
    let receiver = Receiver::start().await;
    register(&app, &receiver.url()).await;
    app.beside(|config| {
        config.server.role = ProcessRole::Worker;
        // But for the first look at the start it would look once an hour.
        config.relay.poll_interval_ms = 3_600_000;
    })
    .await;
    // Until its ear is open nothing is heard, and what is heard while an older transaction runs on the server has to wait
    // for the next hint: so there are several.
    let mut made = 0;
    while receiver.received().len() < 3 && made < 200 {
        app.draft().await;
        made += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let arrived = receiver.wait_for(3).await.len();
    assert!(arrived <= made, "{arrived} of {made}");
}

#[tokio::test]
async fn hints_cross_between_processes_and_do_not_come_back() {
    let app = TestApp::start_with(|config| config.relay.hints = false).await;
    let stop = CancellationToken::new();
    let process = async |handed_on: bool| {
        let channel = Arc::new(PgWakeupChannel::new(app.pool.clone(), Uuid::now_v7()));
        let wakeups = Wakeups::default();
        let ear = relay::HintListener { channel: channel.clone(), wakeups: wakeups.clone() };
        let token = stop.clone();
        tokio::spawn(async move { ear.run(token).await });
        tokio::spawn(relay::announce(channel, wakeups.clone(), handed_on, stop.clone()));
        wakeups
    };
    let watcher = PgWakeupChannel::new(app.pool.clone(), Uuid::now_v7());
    let mut ear = watcher.listen().await.unwrap();
    let (serving, working) = (process(false).await, process(true).await);
    let (mut heard, mut to_hand_on) = (working.listen(), working.listen());
    let [first, second, third] = [1, 2, 3].map(|number| TenantId(Uuid::from_u128(number)));
    let soon = Duration::from_secs(30);
    // Both have opened their ears once this goes through.
    let through = async {
        loop {
            serving.committed(first);
            if let Ok(Some(tenant)) = tokio::time::timeout(Duration::from_millis(200), heard.next()).await {
                break tenant;
            }
        }
    };
    assert_eq!(tokio::time::timeout(soon, through).await.unwrap(), first);
    assert_eq!(tokio::time::timeout(soon, to_hand_on.next_to_hand_on()).await.unwrap(), Some(first));
    // What another process hands on itself is shown, not handed on again.
    let other = PgWakeupChannel::new(app.pool.clone(), Uuid::now_v7());
    other.announce(&[second], true).await.unwrap();
    other.announce(&[third], false).await.unwrap();
    let next = async {
        loop {
            if let Some(tenant) = to_hand_on.next_to_hand_on().await.filter(|tenant| *tenant != first) {
                break tenant;
            }
        }
    };
    assert_eq!(tokio::time::timeout(soon, next).await.unwrap(), third);
    // Whoever listens beside them has heard each announcement once: nobody repeated what he heard.
    let mut told = Vec::new();
    while told.last() != Some(&Announcement { tenant: third, handed_on: false }) {
        let hint = tokio::time::timeout(soon, ear.next()).await.unwrap().unwrap();
        if hint.tenant != first {
            told.push(hint);
        }
    }
    other.announce(&[second], false).await.unwrap();
    told.push(tokio::time::timeout(soon, ear.next()).await.unwrap().unwrap());
    let hints = [(second, true), (third, false), (second, false)];
    assert_eq!(told, hints.map(|(tenant, handed_on)| Announcement { tenant, handed_on }));
    stop.cancel();
}
