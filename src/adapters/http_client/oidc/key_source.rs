//! Keeps the issuer's keys: fetched ahead of time, fetched again for an unknown key, believed for a while without the issuer.
//!
//! - In the background they are fetched every `refresh`, and after a failure every `min_refresh`.
//! - A token with an unknown key makes one fetch, at most one in `min_refresh`, which all such tokens wait for together.
//! - Without the issuer the last keys hold for `refresh` and `stale`; then nothing can be said about a token.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::discovery::{KeysError, LARGEST_DOCUMENT, fetch_keys};
use super::key_set::KeySet;
use super::settings::{OidcSettings, SettingsError};
use crate::adapters::http_client::Documents;

/// Why there is no key for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer publishes no such key.
    Unknown,
    /// The issuer's keys cannot be had.
    Unavailable,
}

/// The issuer's keys; one per process.
pub struct KeySource {
    documents: Documents,
    settings: OidcSettings,
    state: RwLock<State>,
    /// Held while the issuer is asked.
    flight: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The last set that was had, and when.
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When the last attempt ended.
    tried: Option<Instant>,
    /// Why it failed.
    failure: Option<String>,
}

impl KeySource {
    /// A source that knows no keys yet.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(settings: OidcSettings) -> Result<Arc<Self>, SettingsError> {
        let documents = Documents::new(settings.timeout, LARGEST_DOCUMENT)?;
        Ok(Arc::new(Self { documents, settings, state: RwLock::default(), flight: Mutex::default() }))
    }

    /// Keeps the keys fresh for as long as it is polled.
    pub async fn keep_fresh(self: Arc<Self>) {
        loop {
            self.refresh_unless_tried_within(Duration::ZERO).await;
            let failed = self.state.read().failure.is_some();
            sleep(if failed { self.settings.min_refresh } else { self.settings.refresh }).await;
        }
    }

    /// The key for a token, asking the issuer if it is not among the known ones.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<DecodingKey>, NoKey> {
        let look = || self.believed().map(|keys| keys.find(id, algorithm));
        if let Some(Some(key)) = look() {
            return Ok(key);
        }
        self.refresh_unless_tried_within(self.settings.min_refresh).await;
        match look() {
            Some(found) => found.ok_or(NoKey::Unknown),
            None => Err(NoKey::Unavailable),
        }
    }

    /// Asks the issuer, unless an attempt ended within `least`; then says what is wrong, if anything is.
    pub(super) async fn trouble(self: &Arc<Self>, least: Duration) -> Option<String> {
        self.refresh_unless_tried_within(least.max(self.settings.min_refresh)).await;
        let state = self.state.read();
        let empty = state.keys.as_ref().is_none_or(|(keys, _)| keys.len() == 0);
        state.failure.clone().or_else(|| empty.then(|| "the issuer publishes no usable key".to_owned()))
    }

    /// The keys that still hold.
    fn believed(&self) -> Option<Arc<KeySet>> {
        let state = self.state.read();
        let (keys, had) = state.keys.as_ref()?;
        (had.elapsed() <= self.settings.refresh + self.settings.stale).then(|| keys.clone())
    }

    /// One attempt at a time, in a task of its own: a client that hangs up does not end it for the others.
    async fn refresh_unless_tried_within(self: &Arc<Self>, least: Duration) {
        let source = self.clone();
        let arrived = Instant::now();
        let attempt = tokio::spawn(async move {
            let _turn = source.flight.lock().await;
            // Whoever waited for another's attempt takes its result, however short `least` is.
            let tried = source.state.read().tried;
            if tried.is_some_and(|tried| tried >= arrived || tried.elapsed() < least) {
                return;
            }
            source.attempt().await;
        });
        if let Err(error) = attempt.await {
            tracing::error!(%error, "the fetch of the issuer's keys broke off");
        }
    }

    async fn attempt(&self) {
        let OidcSettings { issuer, jwks_url, timeout: bound, .. } = &self.settings;
        let fetched = timeout(*bound, fetch_keys(&self.documents, issuer, jwks_url.as_deref())).await;
        let fetched = fetched.unwrap_or(Err(KeysError::TooSlow));
        let mut state = self.state.write();
        let now = Instant::now();
        state.tried = Some(now);
        match fetched {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "fetched the issuer's keys");
                state.keys = Some((Arc::new(keys), now));
                state.failure = None;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                tracing::warn!(%error, %cause, "the issuer's keys could not be fetched");
                state.failure = Some(error.to_string());
            }
        }
    }
}
