//! Webhook endpoints: what a tenant registers, and which addresses may be called at all.

pub mod address;
pub mod endpoint;

pub use address::refusal;
pub use endpoint::{Endpoint, SECRET_PREFIX};
