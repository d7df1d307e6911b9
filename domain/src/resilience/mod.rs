//! What keeps a destination in trouble from dragging others along: [`breaker`] leaves it alone, [`retry_budget`] bounds how
//! much is tried again.

pub mod breaker;
pub mod retry_budget;

pub use breaker::{Breaker, BreakerState};
pub use retry_budget::RetryBudget;
