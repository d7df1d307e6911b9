//! Load over HTTP/1.1: reads a plan (JSON) from standard input, writes a report (JSON) to standard output.
//!
//! wrk and its like send the same request again and again. A transition needs the version that the one before produced and
//! a fresh idempotency key, so each connection here owns cases and walks them. One thread, because generator, service
//! and database share the machine's cores.

mod connection;
mod plan;
mod report;
mod walker;

use std::time::{Duration, Instant};

use anyhow::Context;

use crate::plan::Plan;
use crate::report::Tally;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "the report is this program's output")]
async fn main() -> anyhow::Result<()> {
    let plan: Plan = serde_json::from_reader(std::io::stdin()).context("cannot read the plan from standard input")?;
    plan.check()?;
    let plan: &'static Plan = Box::leak(Box::new(plan));
    // Every connection learns the versions of its cases before the clock starts.
    let prepared = (0..plan.connections).map(|number| tokio::spawn(walker::Walker::prepare(plan, number)));
    let mut walkers = Vec::new();
    for walker in prepared.collect::<Vec<_>>() {
        walkers.push(walker.await??);
    }
    let begin = Instant::now() + Duration::from_secs_f64(plan.warmup_seconds);
    let end = begin + Duration::from_secs_f64(plan.seconds);
    let running: Vec<_> = walkers.into_iter().map(|walker| tokio::spawn(walker.run(begin, end))).collect();
    let mut total = Tally::default();
    for walker in running {
        total.merge(walker.await?);
    }
    println!("{}", serde_json::to_string(&total.report(plan.seconds))?);
    Ok(())
}
