//! The parts that hand events on: the relay, the webhook sender, and what administers them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::adapters::http_client::{GuardedResolver, HttpWebhookSender, SenderSettings};
use crate::adapters::postgres::{PgDeliveryLog, PgRelayStore};
use crate::adapters::system::{AesSealer, secret_file};
use crate::application::events::relay::{Relay, RelaySettings};
use crate::application::events::wakeups::Wakeups;
use crate::application::ports::{DeliveryLog, EventSink, WakeupChannel};
use crate::application::tenancy::TenancyWriting;
use crate::application::webhooks::DeliveryDesk;
use crate::application::webhooks::send::Sending;
use crate::config::Config;
use crate::entrypoints::http::event_stream::{StreamRules, Streams};

/// Which addresses may be called on behalf of tenants, and for how long.
pub(super) fn guard(config: &Config) -> SenderSettings {
    let section = &config.webhooks;
    let networks = section.allowed_networks.clone();
    SenderSettings {
        connect_timeout: Duration::from_millis(section.connect_timeout_ms),
        timeout: Duration::from_millis(section.timeout_ms),
        allow_http: section.allow_http,
        allowed: Arc::new(move |address| networks.iter().any(|network| network.contains(address))),
        lookup: GuardedResolver::system_lookup(),
    }
}

impl Parts {
    /// What posts signed messages.
    pub fn sending(&self, config: &Config) -> anyhow::Result<Sending> {
        let settings = SenderSettings { lookup: self.lookup.clone(), ..guard(config) };
        let sender = HttpWebhookSender::new(settings);
        let sender = sender.context("cannot set up the client of webhooks")?;
        let sealer = AesSealer::new(&seal_key(config)?).context("cannot use the key of webhook secrets")?;
        Ok(Sending { sender: Arc::new(sender), sealer: Arc::new(sealer), clock: self.clock.clone() })
    }

    /// The relay over these sinks.
    pub fn relay(&self, config: &Config, sinks: Vec<Arc<dyn EventSink>>) -> anyhow::Result<Relay> {
        let section = &config.relay;
        let settings = RelaySettings {
            poll: Duration::from_millis(section.poll_interval_ms),
            lease: Duration::from_secs(section.lease_seconds),
            send_within: Duration::from_millis(config.webhooks.timeout_ms),
            concurrency: section.concurrency,
            per_destination: section.per_destination,
            finish_within: super::worker::finish_within(config),
        };
        let store = Arc::new(PgRelayStore::new(self.pool.clone()));
        // Without hints the relay listens where nobody speaks.
        let wakeups = if section.hints { self.wakeups.clone() } else { Wakeups::default() };
        Ok(Relay::new(store, self.sending(config)?, sinks, wakeups, settings))
    }

    /// Endpoints, lanes and the delivery log.
    pub fn deliveries(&self) -> Arc<dyn DeliveryLog> {
        Arc::new(PgDeliveryLog::new(self.pool.clone()))
    }

    /// Administering endpoints and deliveries.
    pub fn delivery_desk(&self, config: &Config, tenancy: TenancyWriting) -> anyhow::Result<DeliveryDesk> {
        let (log, sending, wakeups) = (self.deliveries(), self.sending(config)?, self.wakeups.clone());
        Ok(DeliveryDesk { tenancy, log, sending, wakeups })
    }

    /// The open streams of events; they end when `stop` is cancelled.
    pub(super) fn streams(config: &Config, stop: CancellationToken) -> Streams {
        let section = &config.events;
        Streams::new(StreamRules {
            max: section.max_streams,
            max_per_tenant: section.max_streams_per_tenant,
            heartbeat: Duration::from_secs(section.heartbeat_seconds),
            longest: Duration::from_secs(section.max_stream_seconds),
            stop,
        })
    }

    /// Hints between processes.
    pub fn wakeup_channel(&self) -> Arc<dyn WakeupChannel> {
        Arc::new(self.channel.clone())
    }
}

/// The key that seals signing secrets: configured, or made once and kept under the data directory.
fn seal_key(config: &Config) -> anyhow::Result<[u8; 32]> {
    if let Some(configured) = &config.webhooks.secret_key {
        let mut key = [0; 32];
        hex::decode_to_slice(configured.expose_secret(), &mut key)
            .context("webhooks.secret_key is not 64 hex digits")?;
        return Ok(key);
    }
    let path = config.data_dir.join("webhook_secrets.key");
    secret_file::read_or_create(&path).with_context(|| format!("cannot keep the key in {}", path.display()))
}
