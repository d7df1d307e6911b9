//! Services outside of docket that its background work talks to, where the configuration names them: the broker, the
//! company register. Each is optional, and named in the readiness without failing it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use docket_domain::job::RetryPolicy;
use secrecy::{ExposeSecret, SecretString};

use super::Parts;
use crate::adapters::http_client::{HttpCompanyRegister, RegisterSettings};
use crate::adapters::nats::{Credentials, Link, NatsProbe, NatsSettings, NatsSink};
use crate::adapters::postgres::PgRegisterEntries;
use crate::adapters::system::SystemRandomness;
use crate::application::enrichment::{EnrichCase, FollowEvents, GuardedRegister, RegisterLimits};
use crate::application::jobs::JobHandler;
use crate::application::ports::health::HealthProbe;
use crate::application::ports::{EventSink, RegisterEntries};
use crate::config::Config;

/// The longest wait between the quick tries of one question.
const TRY_AGAIN_WITHIN: Duration = Duration::from_secs(2);
/// The longest wait before the second try.
const SECOND_TRY_WITHIN: Duration = Duration::from_millis(250);

/// What there is outside.
#[derive(Clone, Default)]
pub(super) struct Outside {
    broker: Option<Arc<Link>>,
    register: Option<Arc<GuardedRegister>>,
}

impl Outside {
    /// What the configuration names, for a process that does background work.
    pub(super) fn of(parts: &Parts, config: &Config) -> anyhow::Result<Self> {
        if !config.server.role.works() {
            return Ok(Self::default());
        }
        Ok(Self { broker: broker(config), register: register(parts, config)? })
    }

    /// Only what handlers of jobs need, to know their kinds.
    pub(super) fn of_jobs(parts: &Parts, config: &Config) -> anyhow::Result<Self> {
        Ok(Self { broker: None, register: register(parts, config)? })
    }

    /// Where events go.
    pub(super) fn sinks(&self, parts: &Parts) -> Vec<Arc<dyn EventSink>> {
        let broker = self.broker.iter().map(|link| Arc::new(NatsSink::new(link.clone())) as Arc<dyn EventSink>);
        let follow = || Arc::new(FollowEvents { jobs: parts.jobs(), clock: parts.clock.clone() });
        broker.chain(self.register.iter().map(|_| follow() as Arc<dyn EventSink>)).collect()
    }

    /// What does the jobs.
    pub(super) fn handlers(&self, parts: &Parts, config: &Config) -> Vec<Arc<dyn JobHandler>> {
        let handler = |register: &Arc<GuardedRegister>| EnrichCase {
            writing: parts.writing(config),
            entries: parts.register_entries(),
            register: register.clone(),
            concurrency: config.enrichment.concurrency,
        };
        self.register.iter().map(|register| Arc::new(handler(register)) as Arc<dyn JobHandler>).collect()
    }

    /// What the readiness names.
    pub(super) fn probes(&self) -> Vec<Arc<dyn HealthProbe>> {
        let broker = self.broker.iter().map(|link| Arc::new(NatsProbe(link.clone())) as Arc<dyn HealthProbe>);
        broker.chain(self.register.iter().map(|register| register.clone() as Arc<dyn HealthProbe>)).collect()
    }
}

impl Parts {
    /// What the company register said.
    pub(super) fn register_entries(&self) -> Arc<dyn RegisterEntries> {
        Arc::new(PgRegisterEntries::new(self.pool.clone()))
    }
}

/// The way to the broker, if the configuration names one. It is connected in the background: a broker that is down keeps
/// nothing from starting.
fn broker(config: &Config) -> Option<Arc<Link>> {
    let section = &config.nats;
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    let credentials = match (&section.token, &section.password) {
        (Some(token), _) => Credentials::Token(text(token)),
        (None, Some(password)) => Credentials::Password { user: section.user.clone(), password: text(password) },
        (None, None) => Credentials::OfUrl,
    };
    let link = Arc::new(Link::new(NatsSettings {
        url: section.url.as_ref().map(text)?,
        credentials,
        stream: section.stream.clone(),
        subject_prefix: section.subject_prefix.clone(),
        connect_timeout: Duration::from_millis(section.connect_timeout_ms),
        ack_timeout: Duration::from_millis(section.ack_timeout_ms),
        duplicate_window: Duration::from_secs(section.duplicate_window_seconds),
        keep: Duration::from_hours(24 * section.keep_days),
        replicas: section.replicas,
    }));
    let first = link.clone();
    tokio::spawn(async move {
        match first.context().await {
            Ok(_) => tracing::info!(stream = first.settings().stream, "events are published to NATS"),
            Err(error) => tracing::warn!(%error, "cannot publish to NATS yet; events wait"),
        }
    });
    Some(link)
}

/// The company register behind its guards, if the configuration names one.
fn register(parts: &Parts, config: &Config) -> anyhow::Result<Option<Arc<GuardedRegister>>> {
    let section = &config.enrichment;
    let Some(url) = &section.url else { return Ok(None) };
    let register = HttpCompanyRegister::new(RegisterSettings {
        url: url.parse().context("enrichment.url is not a URL")?,
        token: section.token.as_ref().map(|token| token.expose_secret().to_owned()),
        connect_timeout: Duration::from_millis(section.connect_timeout_ms),
        timeout: Duration::from_millis(section.timeout_ms),
        largest: section.max_answer_bytes,
    });
    let register = register.context("cannot set up the client of the company register")?;
    let tries = RetryPolicy { max_attempts: section.tries, base: SECOND_TRY_WITHIN, cap: TRY_AGAIN_WITHIN };
    let (concurrency, per_second) = (section.concurrency, section.requests_per_second);
    let limits = RegisterLimits { concurrency, per_second, tries };
    let (clock, randomness) = (parts.clock.clone(), Arc::new(SystemRandomness));
    Ok(Some(Arc::new(GuardedRegister::new(Arc::new(register), clock, randomness, limits))))
}
