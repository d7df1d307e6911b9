//! The section `models`: which language models are asked, in which order, for how long, and what they cost.

use docket_domain::budget::{Price, PriceTable};
use secrecy::SecretString;

use crate::config::sections::optional_secret;
use crate::config::setting::{Rule, price, section};

section! {
    /// Language models.
    Models = "models" {
        /// The providers in the order in which they are asked; the next one is asked when those before it fail. `offline` is
        /// the extractive model of this program: it needs no key and costs nothing.
        chain: Vec<String> = "[\"offline\"]", Rule::ListOf(PROVIDERS);
        /// What each model costs, for instance `["gpt-x=2.50/1.25/2.50/10"]`. Answers cannot be charged without it, so the
        /// service does not start with a model in the chain that has no price.
        prices: Vec<String> = "[]", Rule::Prices;
        /// Time for a connection, in milliseconds.
        connect_timeout_ms: u64 = "3000", Rule::Integer { min: 50, max: 60_000 };
        /// Time until a provider begins to answer, in milliseconds.
        first_token_timeout_ms: u64 = "15000", Rule::Integer { min: 50, max: 600_000 };
        /// Time between two pieces of an answer, in milliseconds.
        idle_timeout_ms: u64 = "15000", Rule::Integer { min: 50, max: 600_000 };
        /// Time for a whole answer of one provider, in milliseconds.
        total_timeout_ms: u64 = "120000", Rule::Integer { min: 50, max: 3_600_000 };
        /// How often one provider is asked for one answer at most; retries are bounded by a budget, too.
        max_attempts: u32 = "2", Rule::Integer { min: 1, max: 5 };
        /// Memory for the beginnings of prompts that questions about the same passages share, in MiB, of all tenants. 0: none.
        prefix_cache_mb: u64 = "16", Rule::Integer { min: 0, max: 1_024 };
        + /// OpenAI.
        openai: OpenAi;
        + /// Anthropic.
        anthropic: Anthropic;
        + /// Another server.
        compatible: Compatible;
    }
}

section! {
    /// OpenAI's chat completions.
    OpenAi = "models.openai" {
        /// The base address; without a path, `/v1` is meant.
        base_url: String = "\"https://api.openai.com/v1\"", Rule::Url(&["https", "http"]);
        /// The key.
        #[serde(deserialize_with = "optional_secret")]
        api_key: Option<SecretString> = "\"\"", Rule::Secret;
        /// The model.
        model: String = "\"\"", Rule::OptionalText;
    }
}

section! {
    /// Anthropic's Messages.
    Anthropic = "models.anthropic" {
        /// The base address; without a path, `/v1` is meant.
        base_url: String = "\"https://api.anthropic.com/v1\"", Rule::Url(&["https", "http"]);
        /// The key.
        #[serde(deserialize_with = "optional_secret")]
        api_key: Option<SecretString> = "\"\"", Rule::Secret;
        /// The model.
        model: String = "\"\"", Rule::OptionalText;
    }
}

section! {
    /// Any other server that speaks OpenAI's chat completions, for instance one of your own.
    Compatible = "models.compatible" {
        /// The base address; without a path, `/v1` is meant. `http://` sends key and questions in the clear.
        base_url: String = "\"\"", Rule::Url(&["https", "http"]);
        /// The key, if the server asks for one.
        #[serde(deserialize_with = "optional_secret")]
        api_key: Option<SecretString> = "\"\"", Rule::Secret;
        /// The model.
        model: String = "\"\"", Rule::OptionalText;
    }
}

/// The words of `models.chain`.
const PROVIDERS: &[&str] = &["openai", "anthropic", "compatible", "offline"];
/// The key of the price table.
const PRICES: &str = "models.prices";

impl Models {
    /// The prices by model. What runs on this machine has none here.
    pub fn price_table(&self, own: impl IntoIterator<Item = String>) -> PriceTable {
        let own = own.into_iter().map(|model| (model, Price::FREE));
        PriceTable::new(own.chain(self.prices.iter().filter_map(|text| price(text))))
    }

    /// The keys of what a provider lacks before it can be asked and charged; of what runs on this machine nothing.
    pub fn lacking(&self, provider: &str) -> Vec<String> {
        let (openai, anthropic, compatible) = (&self.openai, &self.anthropic, &self.compatible);
        let (base_url, model, has_key) = match provider {
            "openai" => (&openai.base_url, &openai.model, openai.api_key.is_some()),
            "anthropic" => (&anthropic.base_url, &anthropic.model, anthropic.api_key.is_some()),
            "compatible" => (&compatible.base_url, &compatible.model, true),
            _ => return Vec::new(),
        };
        let mut lacking = Vec::new();
        for (key, there) in [("base_url", !base_url.is_empty()), ("api_key", has_key), ("model", !model.is_empty())] {
            if !there {
                lacking.push(format!("models.{provider}.{key}"));
            }
        }
        if !model.is_empty() && self.price_table([]).price(model).is_err() {
            lacking.push(PRICES.to_owned());
        }
        lacking
    }

    /// The model of a provider; none of what runs on this machine.
    pub fn model_of(&self, provider: &str) -> Option<&str> {
        match provider {
            "openai" => Some(&self.openai.model),
            "anthropic" => Some(&self.anthropic.model),
            "compatible" => Some(&self.compatible.model),
            _ => None,
        }
    }

    /// What the providers of the chain lack: key, value and what would be allowed.
    pub(in crate::config) fn missing(&self) -> Vec<(String, String, &'static str)> {
        let mut missing = Vec::new();
        for name in PROVIDERS.iter().filter(|name| self.chain.iter().any(|one| one == *name)) {
            for key in self.lacking(name) {
                missing.push(if key == PRICES {
                    let model = self.model_of(name).unwrap_or_default();
                    (key, format!("(nothing for {model:?})"), "a price for each model")
                } else {
                    (key, "\"\"".to_owned(), "a value, because models.chain names the provider")
                });
            }
        }
        let mut seen = Vec::new();
        if self.chain.iter().any(|one| {
            seen.contains(&one) || {
                seen.push(one);
                false
            }
        }) {
            missing.push(("models.chain".to_owned(), format!("{:?}", self.chain), "each provider once"));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::{Config, ConfigErrors, Sources, load};

    fn read(toml: &str) -> Result<(Config, Vec<String>), ConfigErrors> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let loaded = load(&Sources { file: Some(file.path().to_owned()), ..Sources::default() })?;
        Ok((loaded.config, loaded.effective.into_iter().map(|one| one.shown).collect()))
    }

    #[test]
    fn a_provider_in_the_chain_needs_address_key_model_and_price() {
        let errors = read("[models]\nchain = [\"openai\", \"compatible\", \"offline\"]").unwrap_err().0;
        let text = ConfigErrors(errors.clone()).to_string();
        for key in ["openai.api_key", "openai.model", "compatible.base_url", "compatible.model"] {
            assert!(text.contains(&format!("models.{key}")), "{text}");
        }
        assert_eq!(errors.len(), 4, "{text}");
        let without = "[models]\nchain = [\"anthropic\"]\n[models.anthropic]\nmodel = \"m\"\napi_key = \"secret-key\"";
        let text = read(without).unwrap_err().to_string();
        assert!(text.contains("models.prices") && text.contains("\"m\"") && !text.contains("secret-key"), "{text}");
        let with = without.replacen("[models]", "[models]\nprices = [\"m=3/0.3/3.75/15\"]", 1);
        let (config, shown) = read(&with).unwrap();
        let prices = config.models.price_table(["offline".to_owned()]);
        assert_eq!(prices.price("m").map(|price| price.output), Ok(15_000_000_000));
        assert!(prices.price("offline").is_ok() && prices.price("other").is_err());
        assert!(shown.iter().all(|shown| !shown.contains("secret-key")));
        assert!(read("").is_ok(), "the offline model needs nothing");
    }

    #[test]
    fn a_provider_outside_the_chain_is_asked_only_when_it_lacks_nothing() {
        let (config, _) = read("").unwrap();
        let openai = ["models.openai.api_key", "models.openai.model"];
        assert_eq!(config.models.lacking("openai"), openai);
        assert_eq!(config.models.lacking("compatible"), ["models.compatible.base_url", "models.compatible.model"]);
        assert!(config.models.lacking("offline").is_empty());
        let unpriced = "[models.compatible]\nbase_url = \"http://m\"\nmodel = \"m\"";
        let (config, _) = read(unpriced).unwrap();
        assert_eq!(config.models.lacking("compatible"), ["models.prices"]);
        let (config, _) = read(&format!("[models]\nprices = [\"m=1/1/1/1\"]\n{unpriced}")).unwrap();
        assert!(config.models.lacking("compatible").is_empty());
        assert_eq!(config.models.model_of("compatible"), Some("m"));
    }

    #[test]
    fn a_chain_names_each_provider_once_and_prices_are_read_exactly() {
        for wrong in [
            "chain = []",
            "chain = [\"offline\", \"offline\"]",
            "chain = [\"gpt\"]",
            "prices = [\"m=3\"]",
            "prices = [\"=1/1/1/1\"]",
            "prices = [\"m=1/1/1/-1\"]",
        ] {
            assert!(read(&format!("[models]\n{wrong}")).is_err(), "{wrong}");
        }
        assert!(read("[models]\nprices = [\"org/m=x=1/0.1/1.25/2.000000001\"]").is_ok());
    }
}
