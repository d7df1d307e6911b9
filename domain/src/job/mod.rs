//! Durable jobs: what states they go through, when they are tried again, who holds them, and how many to fetch.
//!
//! Everything here is arithmetic on values that are handed in: instants of the database's clock, random numbers, durations
//! that somebody measured. What is stored and how stands in `migrations/0008_jobs.sql`.
//!
//! 1. [`kind`]: the names of kinds, and priorities.
//! 2. [`life`]: the states, what may happen in each, and the fencing token.
//! 3. [`retry`]: exponential backoff with full jitter, and when to give up.
//! 4. [`lease`]: how long a worker may be silent.
//! 5. [`low_water`]: where a claim may begin to look.
//! 6. [`window`]: how many jobs a worker may hold.

pub mod kind;
pub mod lease;
pub mod life;
pub mod low_water;
pub mod retry;
pub mod window;

pub use kind::{JobKind, Priority};
pub use lease::LeaseTerms;
pub use life::{JobLease, JobState, Life};
pub use retry::{RetryPolicy, Verdict};
