//! The sections `security` and `security.oidc`: who may come in.

use secrecy::SecretString;

use crate::config::sections::{optional_secret, optional_text};
use crate::config::setting::{Rule, section};

section! {
    /// API keys and signed cursors.
    Security = "security" {
        /// How long a verified API key is trusted without asking the database, in seconds. Bounds how late another
        /// replica notices a revocation.
        api_key_cache_seconds: u64 = "10", Rule::Integer { min: 0, max: 60 };
        /// Key that signs pagination cursors. Empty: generated under `data_dir` on the first start; set the same on all replicas.
        #[serde(deserialize_with = "optional_secret")]
        cursor_key: Option<SecretString> = "\"\"", Rule::SecretKey;
        + /// Bearer tokens of another provider.
        oidc: Oidc;
    }
}

section! {
    /// Bearer tokens of a provider of `OpenID` Connect, beside API keys.
    Oidc = "security.oidc" {
        /// Whether such tokens are accepted; then issuer, audience and `jwks_url` are required.
        enabled: bool = "false", Rule::Flag;
        /// The `iss` claim that tokens must carry.
        #[serde(deserialize_with = "optional_text")]
        issuer: Option<String> = "\"\"", Rule::Url(&["https", "http"]);
        /// The `aud` claim that tokens must carry.
        #[serde(deserialize_with = "optional_text")]
        audience: Option<String> = "\"\"", Rule::OptionalText;
        /// Where the provider publishes its signing keys (RFC 7517).
        #[serde(deserialize_with = "optional_text")]
        jwks_url: Option<String> = "\"\"", Rule::Url(&["https", "http"]);
        /// The claim that lists the roles.
        roles_claim: String = "\"roles\"", Rule::Text;
        /// The claim that names the tenant.
        tenant_claim: String = "\"tenant\"", Rule::Text;
        /// Tolerated difference between the clocks, in seconds.
        clock_skew_seconds: u64 = "60", Rule::Integer { min: 0, max: 300 };
        /// How often the signing keys are fetched again, in seconds.
        jwks_refresh_seconds: u64 = "300", Rule::Integer { min: 10, max: 86_400 };
    }
}
