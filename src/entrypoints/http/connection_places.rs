//! Places for connections. In a full house who comes takes turns with who is there, or connections that clients merely keep
//! open would shut out everybody else, the probes of an orchestrator first.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long one who was asked to leave may take before the next is asked, too: the first may work on a long answer.
const ASK_ANOTHER_AFTER: Duration = Duration::from_millis(5);

/// The places of a server.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    wanted: Notify,
}

impl Places {
    /// So many free places.
    pub(super) fn new(places: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), wanted: Notify::new() }
    }

    /// A place if one is free now.
    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// A place; while there is none, connections are asked to leave, one after the other, who waits longest to be asked first.
    ///
    /// # Errors
    /// None while the server runs: the places would have to be closed.
    pub(super) async fn take(&self) -> io::Result<OwnedSemaphorePermit> {
        loop {
            if let Some(place) = self.try_take() {
                return Ok(place);
            }
            self.wanted.notify_one();
            let free = self.free.clone().acquire_owned();
            if let Ok(place) = tokio::time::timeout(ASK_ANOTHER_AFTER, free).await {
                return place.map_err(io::Error::other);
            }
        }
    }

    /// Ends when the connection that waits here is asked to leave after the request it works on.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}
