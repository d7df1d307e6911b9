//! The background services of a process and what each is given.

use std::sync::Arc;
use std::time::Duration;

use super::Parts;
use crate::config::Config;
use crate::entrypoints::worker::{Service, Worker};

/// The part of the grace period that background work gets; the rest is for closing connections and flushing telemetry.
const SHARE_OF_GRACE: f64 = 0.8;

/// The worker of this process: no services when its role is to answer requests only.
pub(super) fn worker(parts: &Parts, config: &Config) -> anyhow::Result<Worker> {
    let services = if config.server.role.works() { services(parts, config)? } else { Vec::new() };
    Ok(Worker::new(services))
}

/// How long background work may go on after the process was told to stop.
pub(super) fn grace(config: &Config) -> Duration {
    Duration::from_millis(config.server.shutdown_grace_ms).mul_f64(SHARE_OF_GRACE)
}

/// Every background service. A new one is a line here.
#[allow(clippy::unnecessary_wraps, reason = "building a service may fail")]
fn services(_parts: &Parts, _config: &Config) -> anyhow::Result<Vec<Arc<dyn Service>>> {
    Ok(Vec::new())
}
