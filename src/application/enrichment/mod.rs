//! Enrichment: asking a company register about the respondents of cases, and writing down what it says.
//!
//! [`follow_events`] turns events into jobs, [`enrich_case`] does such a job, [`guarded_register`] stands between it and a
//! service that may be slow, flaky or down. Why it is built this way: docs/decisions/0013.

pub mod enrich_case;
pub mod follow_events;
pub mod guarded_register;

pub use enrich_case::{ENRICH_CASE, EnrichCase};
pub use follow_events::FollowEvents;
pub use guarded_register::{GuardedRegister, RegisterLimits};
