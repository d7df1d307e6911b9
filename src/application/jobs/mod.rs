//! Durable jobs: what a kind of job is, how one is run, and the use cases around the queue.
//!
//! To add a kind: write a [`handler::JobHandler`] in a file of its own, and list it in `bootstrap::worker::registry`. What
//! a handler may rely on and what it must do stands at the trait; [`probe`] is the smallest example.

pub mod administer;
pub mod answer_upkeep;
pub mod deadlines;
pub mod handler;
pub mod job_result;
pub mod maintenance;
pub mod probe;
pub mod registry;
pub mod run_job;
pub mod schedule;

pub use handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
pub use registry::Registry;
