//! Tenants, principals, API keys and who is asking.

pub mod api_key;
pub mod authenticate;

pub use authenticate::Authenticator;
