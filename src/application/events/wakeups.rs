//! Hints inside this process: "this tenant has a new event". Speed depends on them, nothing else does.
//!
//! Some are about what this process committed, some were heard from others. Only the first are told to others, or a hint
//! would go round for ever. And what a process committed that hands events on itself, it hands on: the others only show
//! it to those who follow the feed.

use docket_domain::ids::TenantId;
use tokio::sync::broadcast;

/// Hints that a slow listener may lag behind; then it is told that it missed some.
const CAPACITY: usize = 1_024;

/// Where a hint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Here,
    Elsewhere { handed_on: bool },
}

/// Spreads hints to whoever listens in this process. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Wakeups(broadcast::Sender<(TenantId, Origin)>);

impl Default for Wakeups {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Wakeups {
    /// Says that this process committed an event of the tenant. Costs next to nothing when nobody listens.
    pub fn committed(&self, tenant: TenantId) {
        let _ = self.0.send((tenant, Origin::Here));
    }

    /// Says that another process did, which hands it on itself or does not.
    pub fn heard(&self, tenant: TenantId, handed_on: bool) {
        let _ = self.0.send((tenant, Origin::Elsewhere { handed_on }));
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Hears the hints.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<(TenantId, Origin)>);

impl Listener {
    /// The next hint; none when some were missed, so that anything may have happened.
    pub async fn next(&mut self) -> Option<TenantId> {
        self.next_of(|_| true).await
    }

    /// The next hint about what this process committed.
    pub async fn next_own(&mut self) -> Option<TenantId> {
        self.next_of(|origin| origin == Origin::Here).await
    }

    /// The next hint about what nobody else hands on.
    pub async fn next_to_hand_on(&mut self) -> Option<TenantId> {
        self.next_of(|origin| origin != Origin::Elsewhere { handed_on: true }).await
    }

    async fn next_of(&mut self, wanted: impl Fn(Origin) -> bool) -> Option<TenantId> {
        loop {
            match self.0.recv().await {
                Ok((tenant, origin)) if wanted(origin) => return Some(tenant),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return None,
                // Every sender is gone: the process is ending.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use docket_domain::ids::TenantId;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn everybody_hears_what_concerns_them() {
        let wakeups = Wakeups::default();
        let (mut all, mut own, mut relay) = (wakeups.listen(), wakeups.listen(), wakeups.listen());
        let [here, taken, left] = [1, 2, 3].map(|number| TenantId(Uuid::from_u128(number)));
        wakeups.heard(taken, true);
        wakeups.heard(left, false);
        wakeups.committed(here);
        assert_eq!([all.next().await, all.next().await, all.next().await], [Some(taken), Some(left), Some(here)]);
        assert_eq!(own.next_own().await, Some(here));
        assert_eq!([relay.next_to_hand_on().await, relay.next_to_hand_on().await], [Some(left), Some(here)]);
    }
}
