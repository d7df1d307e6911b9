//! What attempts used that came to nothing: requests that a provider had begun to answer and that broke, ran out of time or
//! were given up before the first text. Their input is owed, and nobody else would know of them.

use std::sync::Arc;

use parking_lot::Mutex;

use super::meter::Metered;

/// One such attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InVain {
    /// The provider.
    pub provider: String,
    /// The model; the key of the price table.
    pub model: String,
    /// What it used.
    pub metered: Metered,
}

/// The attempts in vain of one question. Whoever asks keeps a copy: the attempts are on it also when the asking was given up.
#[derive(Debug, Clone, Default)]
pub struct Tab(Arc<Mutex<Vec<InVain>>>);

impl Tab {
    /// Puts an attempt on it.
    pub fn add(&self, attempt: InVain) {
        self.0.lock().push(attempt);
    }

    /// What is on it until now.
    pub fn read(&self) -> Vec<InVain> {
        self.0.lock().clone()
    }
}
