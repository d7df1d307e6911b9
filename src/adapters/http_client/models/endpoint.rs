//! Where a provider is asked, with which key, and for how long it is waited for.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// How long a provider is waited for. Each is counted by itself; whichever is over first ends the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection with its TLS handshake.
    pub connect: Duration,
    /// From the beginning until the first token, the connection included.
    pub first_token: Duration,
    /// Between two events of the stream.
    pub idle: Duration,
    /// From the beginning to the end.
    pub total: Duration,
}

/// One model at one provider.
#[derive(Clone)]
pub struct Endpoint {
    /// The provider as metrics and traces name it.
    pub provider: String,
    /// The base of its addresses, with or without `/v1`.
    pub base_url: String,
    /// The credential; none where the server asks for none.
    pub api_key: Option<SecretString>,
    /// The model as the provider names it.
    pub model: String,
    /// How long it is waited for.
    pub timeouts: Timeouts,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("provider", &self.provider)
            .field("base_url", &self.base_url)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// An endpoint that cannot be asked; a mistake in the configuration.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The base address is none.
    #[error("the base address of the model provider is not valid: {0}")]
    Address(String),
    /// The key has characters that no header may hold.
    #[error("the key of the model provider holds characters that cannot be sent")]
    Key,
    /// TLS cannot be set up.
    #[error("cannot set up the client of model providers")]
    Client(#[from] reqwest::Error),
}

/// The address of `operation` (`chat/completions`, `messages`) below a base address.
///
/// A base without a path means `/v1`; one with a path is taken as it is, because gateways publish the same interface under
/// paths of their own (`https://gateway.example/openai`). A base that already ends with the operation, as people copy it from
/// a manual, is accepted.
pub(super) fn address(base: &str, operation: &str) -> Result<Url, EndpointError> {
    let mut url = Url::parse(base.trim()).map_err(|error| EndpointError::Address(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(EndpointError::Address("it must begin with https:// or http://".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Address("it must hold no user, password or fragment".to_owned()));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix(operation).unwrap_or(path).trim_end_matches('/');
    let path = if path.is_empty() { "/v1" } else { path };
    let path = format!("{path}/{operation}");
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_address_may_have_v1_or_not() {
        for (base, whole) in [
            ("https://api.example", "https://api.example/v1/chat/completions"),
            ("https://api.example/", "https://api.example/v1/chat/completions"),
            ("https://api.example/v1", "https://api.example/v1/chat/completions"),
            ("https://api.example/v1/", "https://api.example/v1/chat/completions"),
            ("https://api.example/v1/chat/completions", "https://api.example/v1/chat/completions"),
            ("http://[::1]:8000/openai/v1", "http://[::1]:8000/openai/v1/chat/completions"),
            ("https://host/x?api-version=2", "https://host/x/chat/completions?api-version=2"),
        ] {
            assert_eq!(address(base, "chat/completions").map(String::from).ok().as_deref(), Some(whole), "{base}");
        }
        for base in ["", "api.example", "ftp://api.example", "https://key@api.example", "https://api.example/#x"] {
            assert!(address(base, "messages").is_err(), "{base}");
        }
    }
}
