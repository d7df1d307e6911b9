//! What a battery found, and the words it is reported in.

use std::fmt::Display;
use std::sync::{Arc, Mutex};

use tokio::sync::{Mutex as Turn, MutexGuard};

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
    TURN.lock().await
}
