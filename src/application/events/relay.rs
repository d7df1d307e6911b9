//! The relay: hands committed events to every destination, each in the order of its case, until it is told to stop.
//!
//! Any number of relays may run on one database; there is no leader. Each takes turns: for a tenant's webhooks (write
//! deliveries, claim lanes, send) or for a tenant's events of one sink. A turn comes by a hint, by the end of a send,
//! or by polling, which alone suffices. What is taken is taken under a lease and settled under its token.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::{DestinationId, TenantId};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::destinations::Destinations;
use super::turns::Turns;
use super::wakeups::Wakeups;
use crate::application::ports::relay_store::{LANES, WEBHOOKS};
use crate::application::ports::{Clock, EventSink, RelayStore, StoreError};
use crate::application::webhooks::send::Sending;
use crate::telemetry::delivery;

/// The least time between two turns of the same key: a stream of hints becomes batches.
const PAUSE: Duration = Duration::from_millis(4);
/// Turns at once of each kind.
const WORKERS: usize = 4;
/// How often the gauges are brought up to date.
const OBSERVE: Duration = Duration::from_secs(15);

/// How the relay works.
#[derive(Debug, Clone, Copy)]
pub struct RelaySettings {
    /// How often to look for work without a hint.
    pub poll: Duration,
    /// How long a claim lasts; longer than any send.
    pub lease: Duration,
    /// How long a send may take.
    pub send_within: Duration,
    /// Sends at once.
    pub concurrency: u32,
    /// Sends at once to one destination.
    pub per_destination: u32,
    /// How long sends on their way may go on after the relay was told to stop.
    pub finish_within: Duration,
}

impl RelaySettings {
    /// How long after the claim a send may still begin, so that it ends and is settled before the claim does: most of what the
    /// claim lasts longer than a send.
    pub(super) fn begin_within(&self) -> Duration {
        self.lease.saturating_sub(self.send_within) * 3 / 4
    }
}

/// How the relay is told to stop.
#[derive(Debug, Clone)]
pub(super) struct Stopping {
    /// Nothing new is taken from here on.
    pub stop: CancellationToken,
    /// What is still on its way is let go of and its claims are handed back.
    pub give_up: CancellationToken,
}

/// What a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Turn {
    /// The tenant's webhooks, and the lanes of its sinks.
    Lanes(TenantId),
    /// The tenant's events for the sink at this place in the list.
    Sink(TenantId, usize),
}

pub use super::relay_lanes::outcome_word;

/// The relay. Cloning shares it.
#[derive(Clone)]
pub struct Relay(pub(super) Arc<Parts>);

/// What the relay works with.
pub(super) struct Parts {
    pub store: Arc<dyn RelayStore>,
    pub sending: Sending,
    pub sinks: Vec<Arc<dyn EventSink>>,
    pub clock: Arc<dyn Clock>,
    pub settings: RelaySettings,
    pub lanes: Turns<Turn>,
    pub streams: Turns<Turn>,
    pub destinations: Arc<Destinations>,
    /// Places for sends.
    pub places: Arc<Semaphore>,
    /// Tenants whose lanes found no place.
    pub starved: Mutex<HashSet<TenantId>>,
    pub sends: TaskTracker,
    /// Tenants without endpoints, as of the last poll: their hints cost nothing.
    quiet: Mutex<HashSet<TenantId>>,
    wakeups: Wakeups,
}

impl Relay {
    /// A relay of these parts.
    pub fn new(
        store: Arc<dyn RelayStore>,
        sending: Sending,
        sinks: Vec<Arc<dyn EventSink>>,
        wakeups: Wakeups,
        settings: RelaySettings,
    ) -> Self {
        Self(Arc::new(Parts {
            store,
            clock: sending.clock.clone(),
            sending,
            sinks,
            settings,
            lanes: Turns::default(),
            streams: Turns::default(),
            destinations: Arc::new(Destinations::new(settings.per_destination)),
            places: Arc::new(Semaphore::new(settings.concurrency as usize)),
            starved: Mutex::default(),
            sends: TaskTracker::new(),
            quiet: Mutex::default(),
            wakeups,
        }))
    }

    /// Works until `stop` is cancelled. Then it claims nothing more, gives the sends on their way `finish_within`, lets go of
    /// the rest, hands every claim and cursor back, and returns.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), StoreError> {
        let stopping = Stopping { stop, give_up: CancellationToken::new() };
        // After a panic it runs again, and the turns that were under way then are nobody's.
        self.0.lanes.abandon();
        self.0.streams.abandon();
        let mut tasks = JoinSet::new();
        for _ in 0..WORKERS {
            tasks.spawn(self.clone().take_lane_turns(stopping.clone()));
            if !self.0.sinks.is_empty() {
                tasks.spawn(self.clone().take_sink_turns(stopping.clone()));
            }
        }
        tasks.spawn(self.clone().hear(stopping.stop.clone()));
        tasks.spawn(self.clone().poll(stopping.stop.clone()));
        tasks.spawn(self.clone().observe(stopping.stop.clone()));
        let mut ended = std::pin::pin!(async {
            while let Some(ended) = tasks.join_next().await {
                ended.map_err(StoreError::internal)?;
            }
            self.0.sends.close();
            self.0.sends.wait().await;
            self.0.sends.reopen();
            Ok(())
        });
        let patience = async {
            stopping.stop.cancelled().await;
            tokio::time::sleep(self.0.settings.finish_within).await;
        };
        tokio::select! {
            ended = &mut ended => return ended,
            () = patience => stopping.give_up.cancel(),
        }
        ended.await
    }

    async fn hear(self, stop: CancellationToken) {
        let mut listener = self.0.wakeups.listen();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                // Missed hints are no loss: polling finds what they were about.
                hint = listener.next_to_hand_on() => if let Some(tenant) = hint { self.hint(tenant) },
            }
        }
    }

    fn hint(&self, tenant: TenantId) {
        if !self.0.quiet.lock().contains(&tenant) {
            self.0.lanes.ask(Turn::Lanes(tenant));
        }
        for place in 0..self.0.sinks.len() {
            self.0.streams.ask(Turn::Sink(tenant, place));
        }
    }

    async fn poll(self, stop: CancellationToken) {
        let names: Vec<&str> = self.0.sinks.iter().map(|sink| sink.name()).collect();
        loop {
            match self.0.store.backlog(&names).await {
                Ok(backlog) => {
                    self.0.quiet.lock().clear();
                    for (tenant, reader) in backlog {
                        match reader.as_str() {
                            WEBHOOKS | LANES => self.0.lanes.ask(Turn::Lanes(tenant)),
                            sink => {
                                if let Some(place) = names.iter().position(|name| *name == sink) {
                                    self.0.streams.ask(Turn::Sink(tenant, place));
                                }
                            }
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot look for events to hand on"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.0.settings.poll) => {}
            }
        }
    }

    async fn take_lane_turns(self, stopping: Stopping) {
        loop {
            let turn = tokio::select! {
                () = stopping.stop.cancelled() => return,
                turn = self.0.lanes.take() => turn,
            };
            if let Turn::Lanes(tenant) = turn {
                match self.lane_turn(tenant, &stopping).await {
                    Ok(true) => {}
                    Ok(false) => drop(self.0.quiet.lock().insert(tenant)),
                    Err(error) => tracing::warn!(%error, %tenant, "cannot hand on deliveries; polling tries again"),
                }
            }
            self.0.lanes.done(turn, PAUSE).await;
        }
    }

    async fn take_sink_turns(self, stopping: Stopping) {
        loop {
            let turn = tokio::select! {
                () = stopping.stop.cancelled() => return,
                turn = self.0.streams.take() => turn,
            };
            if let Turn::Sink(tenant, place) = turn
                && let Err(error) = self.sink_turn(tenant, &self.0.sinks[place], &stopping).await
            {
                tracing::warn!(%error, %tenant, sink = self.0.sinks[place].name(), "cannot hand on; polling tries again");
            }
            self.0.streams.done(turn, PAUSE).await;
        }
    }

    /// Keeps the gauges in step.
    async fn observe(self, stop: CancellationToken) {
        let names: Vec<&'static str> = self.0.sinks.iter().map(|sink| sink.name()).collect();
        loop {
            match self.0.store.waiting().await {
                Ok(waiting) => delivery::show(&names, &waiting, self.0.destinations.open(self.0.clock.now())),
                Err(error) => tracing::debug!(%error, "cannot count what waits"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(OBSERVE) => {}
            }
        }
    }

    /// The sinks of this process as destinations.
    pub(super) fn sink_ids(&self) -> Vec<DestinationId> {
        self.0.sinks.iter().map(|sink| DestinationId::of_sink(sink.name())).collect()
    }
}
