//! Whether a background service runs, as a line of `/readyz`.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::application::ports::{HealthProbe, ProbeState};

/// The last known state of one service, shared between its supervisor and the health board.
///
/// A service that does not run is named there as degraded and fails nothing else: requests are still answered, and its
/// work waits in the database.
#[derive(Clone)]
pub struct ServiceState {
    name: &'static str,
    state: Arc<Mutex<ProbeState>>,
}

impl ServiceState {
    /// A service that has not run yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, state: Arc::new(Mutex::new(ProbeState::Down("has not started".to_owned()))) }
    }

    /// Says that it runs.
    pub fn up(&self) {
        *self.state.lock() = ProbeState::Up;
    }

    /// Says why it does not run, in words that anybody may read.
    pub fn down(&self, reason: impl Into<String>) {
        *self.state.lock() = ProbeState::Down(reason.into());
    }
}

#[async_trait]
impl HealthProbe for ServiceState {
    fn name(&self) -> &'static str {
        self.name
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> ProbeState {
        self.state.lock().clone()
    }
}
