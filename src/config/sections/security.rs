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
    /// Bearer tokens of a provider of OpenID Connect, beside API keys.
    Oidc = "security.oidc" {
        /// Whether such tokens are accepted; then issuer and audience are required.
        enabled: bool = "false", Rule::Flag;
        /// The `iss` claim that tokens must carry, to the letter; https, or http on a loopback address.
        #[serde(deserialize_with = "optional_text")]
        issuer: Option<String> = "\"\"", Rule::Url(&["https", "http"]);
        /// The `aud` claim that tokens must carry, alone or in a list.
        #[serde(deserialize_with = "optional_text")]
        audience: Option<String> = "\"\"", Rule::OptionalText;
        /// Where the provider publishes its signing keys (RFC 7517). Empty: found in the issuer's discovery document.
        #[serde(deserialize_with = "optional_text")]
        jwks_url: Option<String> = "\"\"", Rule::Url(&["https", "http"]);
        /// The claim that lists the roles; one that begins with `/` is a JSON Pointer, for instance `/realm_access/roles`.
        roles_claim: String = "\"roles\"", Rule::Text;
        /// The issuer's role names and ours, for instance `["case-admins=admin"]`. Empty: the names are ours. Otherwise
        /// a name that is not listed grants nothing.
        role_names: Vec<String> = "[]", Rule::Pairs(GRANTABLE);
        /// The claim that names the tenant, by name or id; it may be a JSON Pointer, too.
        tenant_claim: String = "\"tenant\"", Rule::Text;
        /// The signature algorithms (RFC 7518, RFC 8037) that tokens may use; only asymmetric ones exist here.
        algorithms: Vec<String> = "[\"RS256\", \"PS256\", \"ES256\", \"EdDSA\"]", Rule::ListOf(ALGORITHMS);
        /// The `typ` that tokens may have: `at+jwt` for access tokens (RFC 9068), `JWT` for those that do not say more.
        token_types: Vec<String> = "[\"at+jwt\", \"JWT\"]", Rule::ListOf(&["at+jwt", "JWT"]);
        /// Tolerated difference between the clocks, in seconds.
        clock_skew_seconds: u64 = "60", Rule::Integer { min: 0, max: 300 };
        /// Longest time until a token expires, in seconds; one that lives longer is refused.
        max_lifetime_seconds: u64 = "86400", Rule::Integer { min: 60, max: 31_536_000 };
        /// How often the signing keys are fetched again, in seconds.
        jwks_refresh_seconds: u64 = "300", Rule::Integer { min: 10, max: 86_400 };
        /// How long keys that could not be fetched again are still believed, in seconds after they were due.
        jwks_stale_seconds: u64 = "3600", Rule::Integer { min: 0, max: 604_800 };
        /// Shortest time between two fetches, in seconds, whatever unknown keys the tokens name.
        jwks_min_refresh_seconds: u64 = "30", Rule::Integer { min: 1, max: 3_600 };
        /// Time for the issuer to answer, in milliseconds.
        request_timeout_ms: u64 = "5000", Rule::Integer { min: 100, max: 60_000 };
    }
}

/// Asymmetric algorithms; `none` and those with a shared secret cannot be configured.
const ALGORITHMS: &[&str] = &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// The roles that a token may grant: those that a tenant's administrator may grant, too.
const GRANTABLE: &[&str] = &["reporter", "caseworker", "supervisor", "auditor", "admin"];
