//! Where an issuer publishes its keys (OpenID Connect Discovery 1.0, section 4).

use serde_json::Value;
use url::{Host, Url};

use super::key_set::KeySet;
use crate::adapters::http_client::{Documents, FetchError};

/// Largest document, in bytes.
pub(super) const LARGEST_DOCUMENT: usize = 256 * 1024;

/// Why the keys could not be had; the words are safe to show.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeysError {
    #[error("the issuer {0}")]
    Fetch(#[from] FetchError),
    #[error("the issuer does not answer in time")]
    TooSlow,
    #[error("the issuer's discovery document is not one")]
    NotDiscovery,
    #[error("the issuer's discovery document is of another issuer")]
    OtherIssuer,
    #[error("the issuer's discovery document names no address for its keys that can be trusted")]
    UnsafeAddress,
    #[error("the issuer's key set is not one")]
    NotKeys,
}

/// The issuer's key set as it is published now.
pub(super) async fn fetch_keys(
    documents: &Documents,
    issuer: &str,
    jwks_url: Option<&str>,
) -> Result<KeySet, KeysError> {
    let found;
    let url = if let Some(url) = jwks_url {
        url
    } else {
        found = discover(documents, issuer).await?;
        &found
    };
    KeySet::parse(&documents.get(url).await?).ok_or(KeysError::NotKeys)
}

async fn discover(documents: &Documents, issuer: &str) -> Result<String, KeysError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document: Value = serde_json::from_slice(&documents.get(&url).await?).map_err(|_| KeysError::NotDiscovery)?;
    // Section 4.3: it must be the issuer that was asked, to the letter.
    match document["issuer"].as_str() {
        None => return Err(KeysError::NotDiscovery),
        Some(named) if named != issuer => return Err(KeysError::OtherIssuer),
        Some(_) => {}
    }
    let keys = document["jwks_uri"].as_str().ok_or(KeysError::NotDiscovery)?;
    if is_safe(issuer, keys) { Ok(keys.to_owned()) } else { Err(KeysError::UnsafeAddress) }
}

/// https, or plain http on this machine if the issuer is there, too.
fn is_safe(issuer: &str, keys: &str) -> bool {
    let (Ok(issuer), Ok(keys)) = (Url::parse(issuer), Url::parse(keys)) else { return false };
    let on_this_machine = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match keys.scheme() {
        "https" => true,
        "http" => issuer.scheme() == "http" && on_this_machine(&issuer) && on_this_machine(&keys),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe;

    #[test]
    fn keys_come_over_https_or_from_this_machine() {
        for (issuer, keys, safe) in [
            ("https://id.example", "https://keys.example/jwks", true),
            ("https://id.example", "http://id.example/jwks", false),
            ("https://id.example", "http://127.0.0.1/jwks", false),
            ("http://127.0.0.1:9", "http://127.0.0.1:9/jwks", true),
            ("http://localhost:9", "http://[::1]:9/jwks", true),
            ("http://127.0.0.1:9", "http://169.254.169.254/", false),
            ("https://id.example", "file:///etc/passwd", false),
            ("https://id.example", "", false),
        ] {
            assert_eq!(is_safe(issuer, keys), safe, "{keys}");
        }
    }
}
