//! Committed events: their envelope, and reading them in order.

pub mod envelope;
pub mod read_feed;
