//! Hints inside this process: "this tenant has a new event". Speed depends on them, nothing else does.

use docket_domain::ids::TenantId;
use tokio::sync::broadcast;

/// Hints that a slow listener may lag behind; then it is told that it missed some.
const CAPACITY: usize = 1_024;

/// Spreads hints to whoever listens in this process. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Wakeups(broadcast::Sender<TenantId>);

impl Default for Wakeups {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Wakeups {
    /// Says that an event of the tenant was committed. Costs next to nothing when nobody listens.
    pub fn committed(&self, tenant: TenantId) {
        let _ = self.0.send(tenant);
    }

    /// Listens from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// Hears the hints.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<TenantId>);

impl Listener {
    /// The next hint; none when some were missed, so that anything may have happened.
    pub async fn next(&mut self) -> Option<TenantId> {
        match self.0.recv().await {
            Ok(tenant) => Some(tenant),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            // Every sender is gone: the process is ending.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
