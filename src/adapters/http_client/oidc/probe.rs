//! Whether the issuer can be asked: named in the readiness, not needed for it, because known keys go on to hold.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::key_source::KeySource;
use crate::application::ports::health::{HealthProbe, ProbeState};

/// How often probes may make the issuer work.
const ASK_EVERY: Duration = Duration::from_secs(15);

/// Asks the issuer for its keys, not more often than every 15 s; in between it repeats the last answer.
pub struct IssuerProbe(pub Arc<KeySource>);

#[async_trait]
impl HealthProbe for IssuerProbe {
    fn name(&self) -> &'static str {
        "oidc_issuer"
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> ProbeState {
        self.0.trouble(ASK_EVERY).await.map_or(ProbeState::Up, ProbeState::Down)
    }
}
