//! What plugins print, log and count: under the trace of the call, and no more than anybody would read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::process::CurrentCall;

/// Lines that are logged for one call; the rest is counted only.
const LINES: u32 = 50;
/// Bytes of a line that are logged.
const LINE: usize = 2_000;
/// Characters of the name of a logger, or of what is counted.
const NAME: usize = 100;
/// Names of what one plugin counts: each is a time series for as long as the process lives.
const NAMES: usize = 50;
/// What the others are counted as.
const OTHER: &str = "other";
/// What is read at once.
const BLOCK: usize = 16 * 1024;

/// Reads until the worker ends.
pub(super) async fn log_lines(mut from: impl AsyncRead + Unpin, stream: &'static str, current: CurrentCall) {
    let mut block = vec![0; BLOCK];
    let mut line: Vec<u8> = Vec::new();
    let mut budget = Budget::default();
    while let Ok(read @ 1..) = from.read(&mut block).await {
        for part in block[..read].split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(line.len()).min(part.len());
            line.extend_from_slice(&part[..room]);
            if part.ends_with(b"\n") {
                log(&line, stream, &current, &mut budget);
                line.clear();
            }
        }
    }
    log(&line, stream, &current, &mut budget);
}

/// How much more is logged of what one call says.
#[derive(Debug, Default)]
pub(super) struct Budget {
    call: u64,
    said: u32,
}

impl Budget {
    /// Whether to log one more line of the call; none for the first that is not.
    fn admits(&mut self, call: u64) -> Option<bool> {
        if self.call != call {
            *self = Self { call, said: 0 };
        }
        self.said = self.said.saturating_add(1);
        (self.said != LINES).then_some(self.said < LINES)
    }
}

fn log(line: &[u8], stream: &'static str, current: &CurrentCall, budget: &mut Budget) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    current.enter(|number| match budget.admits(number) {
        Some(true) => tracing::info!(stream, "{text}"),
        Some(false) => {}
        None => tracing::info!(stream, "the plugin prints more than is logged"),
    });
}

/// Logs a record of a plugin's own log.
pub(super) fn log_record(record: &Value, current: &CurrentCall, budget: &mut Budget) {
    let text = |member: &str, most| beginning(record[member].as_str().unwrap_or_default(), most);
    let (logger, message) = (text("logger", NAME), text("message", LINE));
    current.enter(|number| match (budget.admits(number), record["level"].as_str().unwrap_or_default()) {
        (Some(false), _) => {}
        (None, _) => tracing::info!(logger, "the plugin logs more than is kept"),
        (Some(true), "CRITICAL" | "ERROR") => tracing::error!(logger, "{message}"),
        (Some(true), "WARNING") => tracing::warn!(logger, "{message}"),
        (Some(true), "INFO") => tracing::info!(logger, "{message}"),
        (Some(true), _) => tracing::debug!(logger, "{message}"),
    });
}

/// As much of the text as fits into so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The names of what plugins count, known to all workers of a pool.
#[derive(Debug, Clone, Default)]
pub(super) struct EventNames(Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>);

impl EventNames {
    /// Under which name an event of the plugin is counted: its own, or that of all others when the plugin has many already.
    pub(super) fn of(&self, plugin: &str, event: &str) -> String {
        let event = beginning(event, NAME);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(plugin.to_owned()).or_default();
        let fits = known.contains(event) || (known.len() < NAMES && known.insert(event.to_owned()));
        if fits { event.to_owned() } else { OTHER.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_logged_up_to_its_budget_and_the_next_has_its_own() {
        let mut budget = Budget::default();
        let said = |budget: &mut Budget, call| (0..LINES * 3).filter(|_| budget.admits(call) == Some(true)).count();
        assert_eq!(said(&mut budget, 1), 49);
        assert_eq!(said(&mut budget, 1), 0);
        assert_eq!(said(&mut budget, 2), 49);
        let told = (0..LINES * 3).filter(|_| budget.admits(3).is_none()).count();
        assert_eq!(told, 1, "once it is said that there was more");
    }

    #[test]
    fn a_plugin_counts_under_fifty_names_and_the_rest_under_one() {
        let names = EventNames::default();
        let counted: BTreeSet<String> = (0..1_000).map(|number| names.of("loud", &format!("event {number}"))).collect();
        assert_eq!(counted.len(), NAMES + 1);
        assert!(counted.contains(OTHER) && names.of("loud", "event 7") == "event 7");
        assert_eq!(names.clone().of("loud", "event 999"), OTHER, "a new worker knows what the one before counted");
        assert_eq!(names.of("quiet", "event 999"), "event 999");
        assert_eq!(names.of("quiet", &"ü".repeat(300)).len(), NAME);
    }
}
