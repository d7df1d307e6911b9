//! How a process is told to stop: first that it will, then that it must.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// The two steps of a stop. Cloning shares them.
///
/// A load balancer learns from `/readyz` that a replica goes, and it asks only now and then: between the steps the replica
/// says that it goes and still serves whoever is sent to it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// The stop has begun: readiness fails, no job and no delivery is begun.
    pub begun: CancellationToken,
    /// No connection is taken any more; requests in flight have the grace period.
    pub closing: CancellationToken,
}

impl Shutdown {
    /// Takes the first step, and the second `delay` later unless somebody takes it sooner. Must be called within the runtime.
    pub fn begin(&self, delay: Duration) {
        self.begun.cancel();
        if delay.is_zero() {
            return self.closing.cancel();
        }
        tracing::info!(delay_ms = delay.as_millis(), "still serving while load balancers look elsewhere");
        let closing = self.closing.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(delay, closing.cancelled()).await;
            closing.cancel();
        });
    }
}

/// One step for both: a stop without a delay.
impl From<CancellationToken> for Shutdown {
    fn from(token: CancellationToken) -> Self {
        Self { begun: token.clone(), closing: token }
    }
}
