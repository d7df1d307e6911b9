//! Python plugins: the pool that the configuration asks for, and the inside of its workers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::python::{PluginPool, PoolSettings, worker};
use crate::application::ports::Plugins;
use crate::config::Config;

/// The pool of plugin workers; they start with the first call.
pub(super) fn pool(config: &Config) -> Arc<PluginPool> {
    let section = &config.plugins;
    let milliseconds = Duration::from_millis;
    let path = std::env::split_paths(&section.path).filter(|directory| *directory != PathBuf::new());
    Arc::new(PluginPool::new(PoolSettings {
        program: section.program.clone(),
        home: section.home.clone(),
        path: path.collect(),
        workers: section.workers,
        memory: section.memory_mb.saturating_mul(1024 * 1024),
        deadline: milliseconds(section.deadline_ms),
        startup: milliseconds(section.startup_ms),
        queue: section.queue,
        patience: milliseconds(section.patience_ms),
        recycle_after: section.recycle_after,
    }))
}

/// Plugins for a command that needs nothing else.
pub fn plugins(config: &Config) -> Arc<dyn Plugins> {
    pool(config)
}

/// Serves plugin calls in this process, for the service that started it.
pub fn plugin_worker() -> anyhow::Result<()> {
    Ok(worker::run()?)
}
