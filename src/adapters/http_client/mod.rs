//! Other services over HTTP: the only place that knows `reqwest`.
//!
//! Whatever is fetched from elsewhere is bounded in time and size, and no redirect is followed: an address is asked
//! because the configuration or a tenant names it, never because an answer does; a tenant's only behind the guard.

mod company_register;
mod document_fetcher;
mod documents;
pub mod guarded_resolver;
pub mod models;
pub mod oidc;
mod retry_after;
pub mod webhook_sender;

pub use company_register::{HttpCompanyRegister, RegisterSettings};
pub use document_fetcher::HttpDocumentFetcher;
pub use documents::{Documents, FetchError};
pub use guarded_resolver::GuardedResolver;
pub use webhook_sender::{HttpWebhookSender, SenderSettings};
