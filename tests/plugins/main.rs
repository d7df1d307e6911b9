//! Real plugin workers, doing their worst. What each test shows: the caller gets a typed error in time, the next call works,
//! and nobody else notices.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod documents;
mod misdeeds;
mod stages;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docket::adapters::python::{PluginPool, PoolSettings};
use docket::application::ports::Plugins;
use docket::application::ports::plugins::{PluginCall, PluginError, PluginGroup};
use serde_json::{Value, json};

/// Settings for tests: this build's program, this project's virtual environment, and the troublemakers.
pub fn settings() -> PoolSettings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    PoolSettings {
        program: Some(env!("CARGO_BIN_EXE_docket").into()),
        home: Some(root.join(".venv")),
        path: vec![root.join("tests/plugins/troublemakers")],
        workers: 1,
        memory: 512 * 1024 * 1024,
        deadline: Duration::from_mins(1),
        startup: Duration::from_mins(1),
        queue: 64,
        patience: Duration::from_mins(1),
        recycle_after: 1_000,
    }
}

/// A pool for a test, with changed settings.
pub fn pool(change: impl FnOnce(&mut PoolSettings)) -> Arc<PluginPool> {
    let mut settings = settings();
    change(&mut settings);
    Arc::new(PluginPool::new(settings))
}

/// One call of the troublemaker.
pub async fn trouble(pool: &PluginPool, record: Value, deadline: Option<Duration>) -> Result<Value, PluginError> {
    let call = PluginCall {
        group: PluginGroup::Enrichers,
        name: "trouble".to_owned(),
        arguments: json!({"record": record}),
        payload: Bytes::new(),
        deadline,
    };
    pool.call(call).await.map(|answer| answer.result)
}
