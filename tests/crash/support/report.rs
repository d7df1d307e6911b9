//! What a battery found, and the words it is reported in.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::sync::{Mutex as Turn, MutexGuard};

use super::settings::time_is_up;

/// Where the figures of all batteries are gathered, when somebody wants them.
const FIGURES: &str = "DOCKET_CRASH_FIGURES";

/// What a battery did and what went wrong with it, to be summed over all batteries (`scripts/crash_summary.py`).
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Figures {
    /// Processes killed at once, of the service, its workers or its database.
    pub kills: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Jobs that were enqueued.
    pub jobs: u64,
    /// Events that were emitted.
    pub events: u64,
    /// Of all of these, how many are missing.
    pub lost: u64,
    /// Effects that happened twice; an event that comes again under its own id is none.
    pub doubled: u64,
    /// Events that came out of the order of their case.
    pub reordered: u64,
}

impl Figures {
    /// Appends them as a line of JSON to the file that `DOCKET_CRASH_FIGURES` names.
    pub fn note(&self, battery: &str) {
        let Ok(path) = std::env::var(FIGURES) else { return };
        let mut line = serde_json::to_value(self).unwrap();
        line["battery"] = battery.into();
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// A count for [`Figures`].
pub fn count(number: impl TryInto<u64>) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}

/// The findings of one battery, shared by its tasks. No finding means that every promise held.
#[derive(Debug, Clone, Default)]
pub struct Findings(Arc<Mutex<Vec<String>>>);

impl Findings {
    /// Notes a broken promise.
    pub fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    /// Notes it unless `holds`.
    pub fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.add(what());
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Fails the test with the first findings, one a line after `FINDING`.
    #[track_caller]
    pub fn assert_none(&self) {
        let all = self.0.lock().unwrap().clone();
        for finding in all.iter().take(10) {
            println!("FINDING {finding}");
        }
        assert!(all.is_empty(), "{} findings; the first: {}", all.len(), all[0]);
    }
}

/// A count of failures with what it bounds: no failure in n trials bounds the rate at 3/n (95 %).
pub fn bounded(failures: impl Display, name: &str, trials: usize) -> String {
    let failures = failures.to_string();
    if failures != "0" || trials == 0 {
        return format!("{failures} {name} of {trials}");
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let bound = 3.0 / trials as f64;
    format!("0 {name} of {trials} (rate below {bound:.1e})")
}

/// Batteries measure times, so only one of a process runs at once.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Turn<()> = Turn::const_new(());
    // The limit for all counts from the first turn.
    time_is_up();
    TURN.lock().await
}
