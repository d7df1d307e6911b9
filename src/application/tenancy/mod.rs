//! Tenants, principals, API keys and who is asking.

pub mod admit_identity;
pub mod api_key;
pub mod authenticate;
pub mod create_key;
pub mod create_principal;
pub mod create_tenant;
pub mod credential_memory;
mod denials;
pub mod directory;
pub mod revoke_key;
pub mod rotate_key;
pub mod set_budget;
pub mod set_calendar;
pub mod suspend_tenant;
pub mod unit_of_work;
pub mod update_principal;

pub use authenticate::Authenticator;
pub use credential_memory::CredentialMemory;
pub use unit_of_work::{TenancyPresenter, TenancyWriting};
