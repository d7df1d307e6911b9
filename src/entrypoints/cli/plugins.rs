//! `docket plugins`: what is found and whether it works; and the hidden `docket plugin-worker`, which runs them.

use console::style;

use super::Failure;
use crate::application::ports::plugins::PluginInfo;
use crate::bootstrap;
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket plugins                    every plugin with version, source and the outcome of its self-test
  docket plugins --json             the same for programs
  VIRTUAL_ENV=~/mine docket plugins  those of another virtual environment

A plugin is a Python package with an entry point in one of the groups docket.parsers, docket.chunkers,
docket.rerankers, docket.enrichers, docket.graders; docs/plugins.md shows one.";

/// Arguments of `docket plugins`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `docket plugin-worker`: none, everything comes from the service.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  The service starts this by itself; by hand it has nobody to talk to.")]
pub struct WorkerArgs {}

/// Lists plugins; fails when one does not work.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let plugins = bootstrap::plugins(&loaded.config);
    let found = plugins.list().await.map_err(|error| Failure::new(error.to_string()))?;
    let mut failed = 0;
    let mut rows = Vec::new();
    for plugin in found {
        let outcome = match &plugin.problem {
            Some(problem) => Err(problem.clone()),
            None => plugins.self_test(plugin.group, &plugin.name).await.map_err(|error| error.to_string()),
        };
        failed += usize::from(outcome.is_err());
        rows.push((plugin, outcome));
    }
    print(&rows, args.json)?;
    if failed > 0 {
        return Err(Failure::new(format!("{failed} of {} plugins do not work", rows.len())));
    }
    Ok(())
}

fn print(rows: &[(PluginInfo, Result<(), String>)], json: bool) -> Result<(), Failure> {
    if json {
        let row = |(plugin, outcome): &(PluginInfo, Result<(), String>)| {
            let mut value = serde_json::to_value(plugin)?;
            value["self_test"] = serde_json::json!(outcome.as_ref().err().map_or("ok", String::as_str));
            Ok(value)
        };
        let rows: Vec<_> = rows
            .iter()
            .map(row)
            .collect::<Result<_, serde_json::Error>>()
            .map_err(|error: serde_json::Error| Failure::new(error.to_string()))?;
        println!(
            "{}",
            serde_json::to_string_pretty(&rows).map_err(|error: serde_json::Error| Failure::new(error.to_string()))?
        );
        return Ok(());
    }
    println!("{:<18} {:<12} {:<28} {:<48} self-test", "group", "name", "package", "source");
    for (plugin, outcome) in rows {
        let package =
            format!("{} {}", plugin.package.as_deref().unwrap_or("-"), plugin.version.as_deref().unwrap_or_default());
        let outcome = match outcome {
            Ok(()) => style("ok".to_owned()).green(),
            Err(problem) => style(problem.clone()).red(),
        };
        println!("{:<18} {:<12} {package:<28} {:<48} {outcome}", plugin.group, plugin.name, plugin.source);
    }
    Ok(())
}

/// Serves calls until the service that started this process goes away.
pub fn work(_: &WorkerArgs) -> Result<(), Failure> {
    bootstrap::plugin_worker().map_err(|error| Failure::new(error.to_string()))
}
