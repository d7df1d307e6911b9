//! Step 5: more requests at once than the service can work on are shed immediately, instead of making all of them slow.

use std::sync::Arc;

use http::{HeaderValue, header};
use metrics::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::entrypoints::http::problem::{Problem, ProblemKind};
use crate::telemetry::metrics::HTTP_SHED;

/// Counts the requests being worked on.
pub(super) struct InFlight {
    places: Arc<Semaphore>,
    shed: Counter,
}

impl InFlight {
    pub(super) fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), shed: metrics::counter!(HTTP_SHED) }
    }

    /// A place, kept until the head of the answer is ready; operators' routes need none.
    pub(super) fn admit(&self, operational: bool) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        if operational {
            return Ok(None);
        }
        self.places.clone().try_acquire_owned().map(Some).map_err(|_| {
            self.shed.increment(1);
            let detail = "More requests are being worked on than the service takes at once.";
            Problem::new(ProblemKind::ServiceUnavailable, detail)
                .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
        })
    }
}
