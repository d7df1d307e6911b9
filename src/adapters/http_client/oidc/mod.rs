//! Bearer tokens of a provider of OpenID Connect: verified here, with keys fetched from the issuer.
//!
//! A token goes through [`token`] (its form and header), [`key_source`] (the issuer's key for it), its signature, and
//! [`claims`] (for us, now, by whom); [`verifier`] puts them together. Nothing in a token decides how it is verified:
//! algorithms come from the configuration, keys from the issuer's published set.

mod claims;
mod discovery;
mod key_set;
mod key_source;
mod probe;
mod settings;
mod strict_json;
mod token;
mod verifier;

pub use key_source::KeySource;
pub use probe::IssuerProbe;
pub use settings::{OidcSettings, SettingsError};
pub use verifier::OidcVerifier;
