//! What a plugin call costs: calls of 1 KB one after the other, computing calls on one worker and on two, and how long a
//! killed worker is missed. Does what each line of its input names and prints what it found as a line of JSON, so that a
//! peer can take turns with it; `python -m bench.plugins` drives it.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Parser;
use docket::adapters::python::{PluginPool, PoolSettings};
use docket::application::ports::Plugins;
use docket::application::ports::plugins::{PluginCall, PluginError, PluginGroup};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Measures the pool of plugin workers with the plugin `pace`.
#[derive(Parser)]
struct Arguments {
    /// The program that has the command `plugin-worker`.
    program: PathBuf,
    /// Where the plugin `pace` is.
    path: PathBuf,
}

impl Arguments {
    fn pool(&self, workers: usize) -> PluginPool {
        PluginPool::new(PoolSettings {
            program: Some(self.program.clone()),
            home: None,
            path: vec![self.path.clone()],
            workers,
            memory: 512 * 1024 * 1024,
            deadline: Duration::from_secs(30),
            startup: Duration::from_secs(30),
            queue: 64,
            patience: Duration::from_mins(1),
            recycle_after: 1_000_000,
        })
    }
}

async fn call(pool: &PluginPool, record: Value) -> Result<Value, PluginError> {
    let call = PluginCall {
        group: PluginGroup::Enrichers,
        name: "pace".to_owned(),
        arguments: json!({ "record": record }),
        payload: Bytes::new(),
        deadline: None,
    };
    pool.call(call).await.map(|answer| answer.result)
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

/// Microseconds of each of a thousand calls with a record of 1 KB, which comes back.
async fn calls(pool: &PluginPool) -> anyhow::Result<Vec<f64>> {
    let record = json!({"title": "Unlit buoy", "narrative": "x".repeat(990)});
    let mut found = Vec::with_capacity(1_000);
    for _ in 0..1_000 {
        let record = record.clone();
        let began = Instant::now();
        call(pool, record).await?;
        found.push(milliseconds(began) * 1_000.0);
    }
    Ok(found)
}

/// Computing calls a second, as many at once as the pool takes.
async fn computing(pool: &PluginPool) -> anyhow::Result<f64> {
    let began = Instant::now();
    let calls: Vec<_> = (0..16).map(|_| call(pool, json!({"turns": 500_000}))).collect();
    let number = calls.len();
    futures::future::try_join_all(calls).await?;
    Ok(number as f64 / began.elapsed().as_secs_f64())
}

/// How long after its worker was killed the only place of a pool answers again, in milliseconds.
async fn missed(pool: &PluginPool) -> anyhow::Result<f64> {
    let answer = call(pool, json!({})).await?;
    let id = answer["pid"].as_i64().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let id = id.context("the plugin named no process")?;
    let began = Instant::now();
    kill_process(id, Signal::KILL)?;
    loop {
        match call(pool, json!({})).await {
            Ok(_) => return Ok(milliseconds(began)),
            // It was handed to the worker that is dying; whoever called would call again, too.
            Err(PluginError::Died(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

/// What a line of input asks for.
async fn found(order: &str, one: &PluginPool, two: &PluginPool) -> anyhow::Result<Value> {
    Ok(match order {
        "calls" => json!(calls(one).await?),
        "compute on one" => json!(computing(one).await?),
        "compute on two" => json!(computing(two).await?),
        "kill" => json!(missed(one).await?),
        other => anyhow::bail!("calls, compute on one, compute on two or kill, not {other}"),
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pools = Arc::new((arguments.pool(1), arguments.pool(2)));
    for line in std::io::stdin().lock().lines() {
        let (line, pools) = (line?, pools.clone());
        // On a thread of the runtime, where requests are served, too.
        let work = tokio::spawn(async move { found(&line, &pools.0, &pools.1).await });
        println!("{}", work.await??);
    }
    Ok(())
}
