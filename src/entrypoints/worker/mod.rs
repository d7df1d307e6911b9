//! The worker: background services, started with `docket serve`, restarted when they fail, stopped with the process.
//!
//! To add one: implement [`Service`] in this folder, give it its use cases in the constructor, and list it in
//! `bootstrap::worker::services`. Everything else (restart, health, metrics, the end of the grace period) is done here.

mod health;
mod job_desk;
mod job_ends;
mod job_runner;
mod job_session;
mod job_upkeep;
mod overdue_gauge;
pub mod relay;
mod supervisor;

pub use health::ServiceState;
pub use job_runner::{JobRunner, RunnerSettings, Tools};
pub use job_upkeep::JobUpkeep;
pub use overdue_gauge::OverdueGauge;
pub use supervisor::{Restarts, Worker};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

/// A piece of work that goes on for as long as the process lives.
///
/// Contract: `run` returns `Ok` only after `stop` was cancelled. From then on it takes no new work, finishes what it holds
/// or hands it back, and returns within the grace period that the worker was given; after that it is dropped, so nothing
/// durable may depend on its last lines. It keeps no lock and no transaction open while it waits, and everything it
/// must know after a restart stands in the database. An error or a panic starts it again, later each time.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The name in logs, in `/readyz` and as the label of metrics, for instance `jobs`.
    fn name(&self) -> &'static str;
    /// Works until `stop` is cancelled.
    async fn run(&self, stop: CancellationToken) -> anyhow::Result<()>;
}
