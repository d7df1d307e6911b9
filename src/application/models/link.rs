//! One provider of the chain and what is known of its health: its breaker, its budget of retries, and how long it asked us to
//! stay away.

use std::sync::Arc;

use docket_domain::resilience::breaker::LONGEST_PAUSE;
use docket_domain::resilience::{Breaker, BreakerState, RetryBudget};
use parking_lot::Mutex;
use time::{Duration, OffsetDateTime};

use crate::application::ports::LanguageModel;
use crate::application::ports::language_model::ModelError;
use crate::faults::Fault;
use crate::telemetry::gen_ai::Asked;

/// When to look again at a provider that is being probed by another request.
const PROBE_TIME: Duration = Duration::seconds(1);

#[derive(Debug, Default)]
struct Health {
    breaker: Breaker,
    budget: RetryBudget,
    /// Until when it asked to be left alone (`Retry-After`).
    paused_until: Option<OffsetDateTime>,
    /// A request is on its way that shows whether it is back.
    probing: bool,
}

/// A provider in its place in the chain.
pub struct Link {
    /// The model.
    pub model: Arc<dyn LanguageModel>,
    /// Its names for metrics and traces.
    pub asked: Asked,
    health: Mutex<Health>,
}

/// The right to send one request. Dropped without a verdict (the client went away), it says nothing about the provider.
pub struct Permit {
    link: Arc<Link>,
    probe: bool,
}

impl Link {
    /// A link of which nothing bad is known.
    pub fn new(model: Arc<dyn LanguageModel>) -> Arc<Self> {
        let asked = Asked { provider: model.provider().to_owned(), model: model.model().to_owned() };
        Arc::new(Self { model, asked, health: Mutex::default() })
    }

    /// Until when a request would not be admitted; none if it would be.
    pub fn denied_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.health.lock().denied_until(now)
    }

    /// Until when it asked to be left alone, if that is all that stands against asking it.
    pub fn asked_to_wait_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let health = self.health.lock();
        health.paused_until.filter(|until| *until > now && health.breaker.state(now) == BreakerState::Closed)
    }

    /// The right to send a request now, or when to ask again.
    pub fn admit(self: &Arc<Self>, now: OffsetDateTime) -> Result<Permit, OffsetDateTime> {
        let mut health = self.health.lock();
        if let Some(until) = health.denied_until(now) {
            return Err(until);
        }
        let probe = health.breaker.state(now) == BreakerState::HalfOpen;
        health.probing |= probe;
        Ok(Permit { link: self.clone(), probe })
    }

    /// A request is sent for the first time.
    pub fn deposit(&self) {
        self.health.lock().budget.deposit();
    }

    /// Whether a request may be sent once more.
    pub fn may_retry(&self) -> bool {
        self.health.lock().budget.withdraw() || Fault::RetriesWithoutBudget.is_seeded()
    }
}

impl Health {
    fn denied_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let paused = self.paused_until.filter(|until| *until > now);
        let broken = match self.breaker.state(now) {
            BreakerState::Closed => None,
            BreakerState::Open => self.breaker.open_until(),
            BreakerState::HalfOpen => self.probing.then_some(now + PROBE_TIME),
        };
        paused.max(broken)
    }
}

impl Permit {
    /// Who may be asked with it.
    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// The answer came to its end.
    pub fn answered(self) {
        self.link.health.lock().breaker.answered();
        self.link.asked.left_alone(false);
    }

    /// The request failed.
    pub fn failed(self, error: &ModelError, now: OffsetDateTime) {
        let mut health = self.link.health.lock();
        match error {
            // It is there and says no.
            ModelError::Refused(_) => health.breaker.answered(),
            ModelError::RateLimited { retry_after: Some(wait) } => {
                let wait = Duration::try_from(*wait).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
                health.paused_until = health.paused_until.max(Some(now + wait));
            }
            _ => health.breaker.failed(now),
        }
        let open = health.breaker.state(now) != BreakerState::Closed;
        drop(health);
        self.link.asked.left_alone(open);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe {
            self.link.health.lock().probing = false;
        }
    }
}
