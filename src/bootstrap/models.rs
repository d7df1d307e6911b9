//! The language models of the configuration, put into one chain.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use docket_domain::budget::PriceTable;
use docket_domain::job::RetryPolicy;
use secrecy::SecretString;

use super::Parts;
use crate::adapters::http_client::models::{AnthropicModel, Dialect, Endpoint, OpenAiModel, Timeouts};
use crate::adapters::system::SystemRandomness;
use crate::application::models::{ChainSettings, ModelChain, PrefixCache};
use crate::application::ports::LanguageModel;
use crate::config::Config;

impl Parts {
    /// How prompts began, remembered once in a process; nothing where no model reads prompts.
    pub(super) fn prefixes(&self, config: &Config) -> PrefixCache {
        let reads = config.models.chain.iter().any(|name| name != "offline");
        let bytes = if reads { config.models.prefix_cache_mb.saturating_mul(1024 * 1024) } else { 0 };
        self.prefixes.get_or_init(|| PrefixCache::new(bytes)).clone()
    }

    /// The chain of models and what they cost. `offline` is the model of this program, which costs nothing.
    pub fn models(
        &self,
        config: &Config,
        offline: &Arc<dyn LanguageModel>,
    ) -> anyhow::Result<(ModelChain, PriceTable)> {
        let section = &config.models;
        let prefixes = self.prefixes(config);
        let models: anyhow::Result<Vec<_>> =
            section.chain.iter().map(|name| provider(config, name, offline, &prefixes)).collect();
        let default = ChainSettings::default();
        let settings = ChainSettings { retry: RetryPolicy { max_attempts: section.max_attempts, ..default.retry } };
        let chain = ModelChain::new(models?, settings, self.clock.clone(), Arc::new(SystemRandomness));
        let prices = section.price_table([offline.model().to_owned()]);
        for model in chain.models() {
            prices.price(model.model()).context("cannot charge for a model (models.prices)")?;
        }
        Ok((chain, prices))
    }
}

fn provider(
    config: &Config,
    name: &str,
    offline: &Arc<dyn LanguageModel>,
    prefixes: &PrefixCache,
) -> anyhow::Result<Arc<dyn LanguageModel>> {
    let section = &config.models;
    let millis = Duration::from_millis;
    let timeouts = Timeouts {
        connect: millis(section.connect_timeout_ms),
        first_token: millis(section.first_token_timeout_ms),
        idle: millis(section.idle_timeout_ms),
        total: millis(section.total_timeout_ms),
    };
    let endpoint = |base_url: &str, api_key: &Option<SecretString>, model: &str| Endpoint {
        provider: name.to_owned(),
        base_url: base_url.to_owned(),
        api_key: api_key.clone(),
        model: model.to_owned(),
        timeouts,
    };
    let about = || format!("cannot use the model provider {name} (models.{name})");
    Ok(match name {
        "openai" => {
            let one = &section.openai;
            let endpoint = endpoint(&one.base_url, &one.api_key, &one.model);
            Arc::new(OpenAiModel::new(endpoint, Dialect::OpenAi).with_context(about)?.remembering(prefixes.clone()))
        }
        "anthropic" => {
            let one = &section.anthropic;
            let endpoint = endpoint(&one.base_url, &one.api_key, &one.model);
            Arc::new(AnthropicModel::new(endpoint).with_context(about)?.remembering(prefixes.clone()))
        }
        "compatible" => {
            let one = &section.compatible;
            let endpoint = endpoint(&one.base_url, &one.api_key, &one.model);
            Arc::new(OpenAiModel::new(endpoint, Dialect::Compatible).with_context(about)?.remembering(prefixes.clone()))
        }
        _ => offline.clone(),
    })
}
