//! How many jobs of a kind a worker may hold, running and fetched ahead.
//!
//! Fetching ahead hides the way to the database behind the work. Too little, and quick jobs wait for claims; too much, and
//! slow jobs wait in one worker while others are idle. So a worker fetches what it expects to begin within a moment,
//! judged by how long jobs of this kind have taken.

use std::time::Duration;

/// What is fetched ahead should begin within this time.
const AHEAD: Duration = Duration::from_millis(500);
/// The weight of the newest observation in the mean.
const WEIGHT: f64 = 0.2;

/// How long jobs of one kind take, and what follows for fetching.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    concurrency: usize,
    most: usize,
    mean_seconds: Option<f64>,
}

impl Pace {
    /// A kind of which `concurrency` run at once and at most `most` are held.
    pub const fn new(concurrency: usize, most: usize) -> Self {
        Self { concurrency, most, mean_seconds: None }
    }

    /// Learns that a job took this long.
    pub fn observe(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.mean_seconds = Some(self.mean_seconds.map_or(took, |mean| mean + WEIGHT * (took - mean)));
    }

    /// How many may be held: those that run, and those that are expected to begin within half a second. Before anything
    /// is known, as many again as run at once.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn window(&self) -> usize {
        let ahead = match self.mean_seconds {
            None => self.concurrency as f64,
            Some(mean) => self.concurrency as f64 * AHEAD.as_secs_f64() / mean.max(1e-6),
        };
        // Casting saturates, and the bound comes after it.
        (self.concurrency + ahead as usize).min(self.most.max(self.concurrency))
    }
}
