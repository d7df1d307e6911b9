//! The background services that hand events on: the relay, and the ear for hints of other processes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::application::events::relay::Relay;
use crate::application::events::wakeups::Wakeups;
use crate::application::ports::WakeupChannel;

/// Hands events on.
pub struct RelayService(pub Relay);

#[async_trait]
impl Service for RelayService {
    fn name(&self) -> &'static str {
        "relay"
    }

    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        Ok(self.0.run(stop).await?)
    }
}

/// Hears the hints of other processes and passes them on in this one: to the relay and to those who follow the feed.
pub struct HintListener {
    /// Where they come from.
    pub channel: Arc<dyn WakeupChannel>,
    /// Where they go.
    pub wakeups: Wakeups,
}

#[async_trait]
impl Service for HintListener {
    fn name(&self) -> &'static str {
        "hints"
    }

    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ear = self.channel.listen().await?;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                hint = ear.next() => {
                    let hint = hint?;
                    self.wakeups.heard(hint.tenant, hint.handed_on);
                }
            }
        }
    }
}

/// The least time between two announcements: what comes in between is announced together.
const GAP: Duration = Duration::from_millis(20);

/// Announces the commits of this process to the others; `handed_on` says that it hands them on itself.
pub async fn announce(channel: Arc<dyn WakeupChannel>, wakeups: Wakeups, handed_on: bool, stop: CancellationToken) {
    let mut listener = wakeups.listen();
    let mut tenants = std::collections::HashSet::new();
    loop {
        let hint = tokio::select! {
            () = stop.cancelled() => return,
            hint = listener.next_own() => hint,
        };
        tenants.extend(hint);
        let told: Vec<_> = tenants.drain().collect();
        if let Err(error) = channel.announce(&told, handed_on).await {
            tracing::debug!(%error, "cannot hint at new events; polling finds them");
        }
        // The first of a burst is told at once, the rest of it together.
        let gap = tokio::time::sleep(GAP);
        tokio::pin!(gap);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                hint = listener.next_own() => tenants.extend(hint),
                () = &mut gap => break,
            }
        }
        if !tenants.is_empty() {
            let told: Vec<_> = tenants.drain().collect();
            let _ = channel.announce(&told, handed_on).await;
        }
    }
}
