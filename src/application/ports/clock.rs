//! The port for time and identity: use cases never read the machine's clock or randomness directly.

use time::OffsetDateTime;
use uuid::Uuid;

/// Where a use case gets "now" and fresh identifiers from.
///
/// Contract: `now` is UTC with microsecond precision at most (what PostgreSQL stores), and
/// `new_id` returns a UUID version 7 (RFC 9562, section 5.7) whose timestamp is `now`, so that identifiers sort by time of creation.
/// To add an implementation: implement both methods and run the port's test with it.
pub trait Clock: Send + Sync + 'static {
    /// The current instant in UTC, truncated to microseconds.
    fn now(&self) -> OffsetDateTime;
    /// A fresh UUIDv7.
    fn new_id(&self) -> Uuid;
}
