//! Committed events: their envelope, reading them in order, and handing them on.

pub mod destinations;
pub mod envelope;
pub mod read_feed;
pub mod relay;
mod relay_lanes;
mod relay_sinks;
pub mod turns;
pub mod wakeups;
