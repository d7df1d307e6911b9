//! Webhooks: endpoints and their secrets, the signed message, and what an answer means.

pub mod administer;
pub mod inspect;
pub mod message;
pub mod outbox;
pub mod send;

pub use administer::DeliveryDesk;
