//! NATS `JetStream`: the broker for those who outgrow one machine. The only place that knows `async_nats`.
//!
//! docket publishes, nothing here subscribes: the relay hands events to [`NatsSink`], which answers only for what the
//! stream has stored. The connection is made on first use and comes back by itself; until it does, the sink says that it
//! is not available and the relay waits without counting attempts.

mod link;
mod probe;
mod sink;

pub use link::{Credentials, Link, LinkError, NatsSettings};
pub use probe::NatsProbe;
pub use sink::{NatsSink, subject};
