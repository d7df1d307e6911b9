//! The issuer of bearer tokens: its keys, what verifies its tokens, and how its state is told.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::adapters::http_client::oidc::{IssuerProbe, KeySource, OidcSettings, OidcVerifier};
use crate::application::ports::TokenVerifier;
use crate::application::ports::health::HealthProbe;
use crate::application::tenancy::TenancyWriting;
use crate::application::tenancy::admit_identity::Admission;
use crate::config::Config;

/// The issuer whose tokens are accepted.
pub(super) struct Issuer {
    settings: OidcSettings,
    keys: Arc<KeySource>,
}

impl Issuer {
    /// The issuer of the configuration; none when only API keys are accepted, or when this process serves no API.
    pub(super) fn of(config: &Config) -> anyhow::Result<Option<Self>> {
        let Some(settings) = oidc_settings(config).filter(|_| config.server.role.serves_api()) else { return Ok(None) };
        let keys = KeySource::new(settings.clone()).context("cannot ask the issuer of tokens (security.oidc)")?;
        Ok(Some(Self { settings, keys }))
    }

    /// What verifies tokens and admits their principals into the tenants.
    pub(super) fn verifier(&self, tenancy: &TenancyWriting) -> anyhow::Result<Arc<dyn TokenVerifier>> {
        let (admission, clock) = (Arc::new(Admission::new(tenancy.clone())), tenancy.clock.clone());
        let verifier = OidcVerifier::new(&self.settings, self.keys.clone(), admission, clock);
        Ok(Arc::new(verifier.context("cannot accept tokens (security.oidc)")?))
    }

    /// Whether the issuer can be asked.
    pub(super) fn probe(&self) -> Arc<dyn HealthProbe> {
        Arc::new(IssuerProbe(self.keys.clone()))
    }

    /// Keeps the issuer's keys fresh until it is dropped.
    pub(super) async fn keep_keys(self) {
        self.keys.keep_fresh().await;
    }
}

/// The settings of the issuer of tokens, if such tokens are accepted; the configuration has been checked.
fn oidc_settings(config: &Config) -> Option<OidcSettings> {
    let section = &config.security.oidc;
    let seconds = Duration::from_secs;
    let (issuer, audience) = (section.issuer.clone()?, section.audience.clone()?);
    section.enabled.then(|| OidcSettings {
        issuer,
        audience,
        jwks_url: section.jwks_url.clone(),
        roles_claim: section.roles_claim.clone(),
        role_names: section.role_names.clone(),
        tenant_claim: section.tenant_claim.clone(),
        algorithms: section.algorithms.clone(),
        token_types: section.token_types.clone(),
        clock_skew: seconds(section.clock_skew_seconds),
        max_lifetime: seconds(section.max_lifetime_seconds),
        refresh: seconds(section.jwks_refresh_seconds),
        stale: seconds(section.jwks_stale_seconds),
        min_refresh: seconds(section.jwks_min_refresh_seconds),
        timeout: Duration::from_millis(section.request_timeout_ms),
    })
}
