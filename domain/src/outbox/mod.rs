//! Handing events on: when to try again, when to stop trying, and what parks when an event is given up.
//!
//! [`retry`] says how long to wait, a [`Breaker`] whether to try at all, [`verdict`] what a failure means for the event, and
//! [`lane`] how the events of one case stay in order although many workers share the work.

pub mod lane;
pub mod retry;
pub mod verdict;

pub use crate::resilience::{Breaker, BreakerState};
pub use lane::{Lane, LaneState, Settled};
pub use retry::Schedule;
pub use verdict::{Failure, Verdict, judge};
