//! Other services over HTTP: the only place that knows `reqwest`.
//!
//! Whatever is fetched from elsewhere is bounded in time and size, and no redirect is followed: an address is asked
//! because the configuration names it, never because an answer does.

mod documents;
pub mod oidc;

pub use documents::{Documents, FetchError};
