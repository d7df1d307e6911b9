//! Whether the broker can be used: named in the readiness, not needed for it, because events wait in the outbox.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::Link;
use crate::application::ports::health::{HealthProbe, ProbeState};

/// Looks at the connection, making it when there has been none.
pub struct NatsProbe(pub Arc<Link>);

#[async_trait]
impl HealthProbe for NatsProbe {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> ProbeState {
        self.0.context().await.map_or_else(|error| ProbeState::Down(error.to_string()), |_| ProbeState::Up)
    }
}
