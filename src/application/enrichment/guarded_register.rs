//! The register behind its guards, in the order in which a question passes them: a place among those asked at once, the
//! breaker, the rate, and few quick retries with full jitter.
//!
//! A service that says `Retry-After`, or whose breaker is open, is not retried here: the job is put back and the worker is
//! free for others.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::case::Company;
use docket_domain::job::RetryPolicy;
use docket_domain::outbox::{Breaker, BreakerState};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::application::ports::company_register::RegisterError;
use crate::application::ports::{Clock, CompanyRegister, HealthProbe, ProbeState, Randomness};
use crate::telemetry::enrichment as signals;

/// How hard the register may be used.
#[derive(Debug, Clone, Copy)]
pub struct RegisterLimits {
    /// Questions at once.
    pub concurrency: usize,
    /// Questions a second.
    pub per_second: NonZeroU32,
    /// The first try and its quick repetitions.
    pub tries: RetryPolicy,
}

/// The register with its guards.
pub struct GuardedRegister {
    register: Arc<dyn CompanyRegister>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    limits: RegisterLimits,
    places: Semaphore,
    rate: DefaultDirectRateLimiter,
    health: Mutex<Health>,
    probed: Notify,
}

/// What is known of the register's health.
#[derive(Default)]
struct Health {
    breaker: Breaker,
    /// Whether one question is on its way to see whether the register is back.
    probing: bool,
}

/// The right to ask one question; without a report it only ends the probe that it may be.
struct Ticket<'a> {
    register: &'a GuardedRegister,
    probe: bool,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.register.health.lock().probing = false;
            self.register.probed.notify_waiters();
        }
    }
}

impl GuardedRegister {
    /// Guards around `register`.
    pub fn new(
        register: Arc<dyn CompanyRegister>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
        limits: RegisterLimits,
    ) -> Self {
        Self {
            register,
            clock,
            randomness,
            limits,
            places: Semaphore::new(limits.concurrency),
            rate: RateLimiter::direct(Quota::per_second(limits.per_second)),
            health: Mutex::default(),
            probed: Notify::new(),
        }
    }

    /// The company of this name, asked for within the limits.
    pub async fn look_up(&self, name: &str) -> Result<Option<Company>, RegisterError> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|_| RegisterError::unavailable("is not asked any more"))?;
        for attempt in 1.. {
            let ticket = self.admit().await?;
            self.rate.until_ready().await;
            let answer = self.register.look_up(name).await;
            let open = self.report(&answer);
            drop(ticket);
            let error = match answer {
                Ok(company) => return Ok(company),
                Err(error) => error,
            };
            let asked_to_wait = matches!(error, RegisterError::Unavailable { retry_after: Some(_), .. });
            if !error.is_trouble() || asked_to_wait || open || attempt >= self.limits.tries.max_attempts {
                return Err(error);
            }
            tokio::time::sleep(self.limits.tries.delay(attempt, self.random())).await;
        }
        Err(RegisterError::unavailable("was not asked"))
    }

    /// Waits for the outcome of a probe that is on its way; refuses at once while the breaker is open.
    async fn admit(&self) -> Result<Ticket<'_>, RegisterError> {
        loop {
            let probed = self.probed.notified();
            tokio::pin!(probed);
            // Listening begins before looking, or the end of a probe in between would be missed.
            probed.as_mut().enable();
            {
                let (mut health, now) = (self.health.lock(), self.clock.now());
                match health.breaker.state(now) {
                    BreakerState::Closed => return Ok(Ticket { register: self, probe: false }),
                    BreakerState::Open => {
                        let left = health.breaker.open_until().map(|until| until - now).unwrap_or_default();
                        let retry_after = Duration::try_from(left).ok();
                        signals::asked("breaker_open", true);
                        let reason = "is in trouble and left alone for a while".to_owned();
                        return Err(RegisterError::Unavailable { reason, retry_after });
                    }
                    BreakerState::HalfOpen if !health.probing => {
                        health.probing = true;
                        return Ok(Ticket { register: self, probe: true });
                    }
                    BreakerState::HalfOpen => {}
                }
            }
            probed.await;
        }
    }

    /// Tells the breaker and the metrics how it went; whether the breaker is open now.
    fn report(&self, answer: &Result<Option<Company>, RegisterError>) -> bool {
        let (mut health, now) = (self.health.lock(), self.clock.now());
        if answer.as_ref().is_err_and(RegisterError::is_trouble) {
            health.breaker.failed(now);
        } else {
            health.breaker.answered();
        }
        let open = health.breaker.state(now) != BreakerState::Closed;
        signals::asked(outcome_word(answer), open);
        open
    }

    /// Whether it is in trouble and left alone: what waits for it waits for no fault of its own.
    pub fn is_down(&self) -> bool {
        self.health.lock().breaker.state(self.clock.now()) != BreakerState::Closed
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.randomness.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// The word for metrics.
const fn outcome_word(answer: &Result<Option<Company>, RegisterError>) -> &'static str {
    match answer {
        Ok(Some(_)) => "found",
        Ok(None) => "unknown",
        Err(RegisterError::Unavailable { .. }) => "unavailable",
        Err(RegisterError::Garbage(_)) => "garbage",
        Err(RegisterError::Refused(_)) => "refused",
    }
}

#[async_trait]
impl HealthProbe for GuardedRegister {
    fn name(&self) -> &'static str {
        "company_register"
    }

    fn required(&self) -> bool {
        false
    }

    /// Repeats what the questions of the jobs showed: probing must not use up the register's allowance.
    async fn check(&self) -> ProbeState {
        match self.health.lock().breaker.state(self.clock.now()) {
            BreakerState::Closed => ProbeState::Up,
            BreakerState::Open | BreakerState::HalfOpen => {
                ProbeState::Down("in trouble, left alone for a while; look-ups wait".to_owned())
            }
        }
    }
}
