//! Settings that exclude each other, though each is valid by itself.

use super::invalid::Invalid;
use super::sections::Config;

/// Settings that are valid one by one but not together.
pub(super) fn contradictions(config: &Config) -> Vec<Invalid> {
    let mut found = Vec::new();
    let mut must = |holds: bool, key: &str, value: String, allowed: &str| {
        if !holds {
            let origin = "the settings taken together".to_owned();
            found.push(Invalid::Value { key: key.to_owned(), value, origin, allowed: allowed.to_owned() });
        }
    };
    let (limits, oidc) = (&config.limits, &config.security.oidc);
    must(
        limits.page_size_default <= limits.page_size_max,
        "limits.page_size_default",
        limits.page_size_default.to_string(),
        "at most limits.page_size_max",
    );
    must(
        config.storage.max_evidence_bytes <= config.server.max_upload_bytes as u64,
        "storage.max_evidence_bytes",
        config.storage.max_evidence_bytes.to_string(),
        "at most server.max_upload_bytes",
    );
    must(
        config.relay.lease_seconds * 1_000 >= config.webhooks.timeout_ms + 1_000,
        "relay.lease_seconds",
        config.relay.lease_seconds.to_string(),
        "at least a second more than webhooks.timeout_ms",
    );
    let required = [("issuer", &oidc.issuer), ("audience", &oidc.audience)];
    for (name, value) in required {
        let key = format!("security.oidc.{name}");
        must(
            !oidc.enabled || value.is_some(),
            &key,
            "\"\"".to_owned(),
            "a value, because security.oidc.enabled is true",
        );
    }
    for (name, value) in [("issuer", &oidc.issuer), ("jwks_url", &oidc.jwks_url)] {
        let value = value.as_deref().unwrap_or_default();
        must(
            value.is_empty() || is_private_channel(value),
            &format!("security.oidc.{name}"),
            format!("{value:?}"),
            "https, or http on a loopback address, without query and fragment",
        );
    }
    let keys = (config.storage.s3_access_key_id.is_some(), config.storage.s3_secret_access_key.is_some());
    must(keys.0 == keys.1, "storage.s3_secret_access_key", "\"\"".to_owned(), "both S3 keys or none");
    for (key, value, allowed) in config.models.missing() {
        must(false, &key, value, allowed);
    }
    found
}

/// Whether nobody on the way can change what is fetched from `text`: https, or this machine itself.
fn is_private_channel(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let on_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    bare && url.query().is_none() && (url.scheme() == "https" || on_loopback)
}
