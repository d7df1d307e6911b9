//! The background service that shows how many cases are past their deadline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Service;
use crate::application::ports::{Clock, DeadlineWatch};
use crate::telemetry::deadlines::CASES_OVERDUE;

/// How often the gauge is set: as often as deadlines are swept.
const EVERY: Duration = Duration::from_mins(1);
/// Counting ends here.
const COUNT_CAP: u32 = 10_000;

/// Sets the gauge. Every working process does, with the same number.
pub struct OverdueGauge {
    /// Counts.
    pub watch: Arc<dyn DeadlineWatch>,
    /// Says what is late.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Service for OverdueGauge {
    fn name(&self) -> &'static str {
        "overdue_gauge"
    }

    #[allow(clippy::cast_precision_loss, reason = "the count ends at ten thousand")]
    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {
                    let overdue = self.watch.overdue(self.clock.now(), COUNT_CAP).await?;
                    metrics::gauge!(CASES_OVERDUE).set(overdue as f64);
                }
            }
        }
    }
}
