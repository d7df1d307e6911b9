//! The command line: one file a subcommand, each with `Args` and `run`.
//!
//! To add one: write `name.rs` with `Args` (clap) and `run`, then a line in [`Command`] and one in [`main`]: through
//! [`with_service`] if it needs settings, logs and a runtime, directly if not.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line talks to people by these streams")]

mod administration;
mod audit;
mod completions;
mod config;
mod demo;
mod demo_documents;
mod drill;
mod eval;
mod eval_answers;
mod eval_judge;
mod eval_report;
mod eval_retrieval;
mod eval_vectors;
mod evidence;
mod export;
mod failure;
mod import;
mod import_report;
mod index;
mod ingest;
mod jobs;
mod keys;
mod migrate;
mod openapi;
mod outbox;
mod plugins;
mod register;
mod serve;
mod tenants;

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::config::{Flag, Loaded, Sources, load};
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  docket serve                                   start on 127.0.0.1:8080 with the embedded database
  docket serve --bind 0.0.0.0:8080               listen on every address
  DATABASE_URL=postgres://... docket serve       use your own PostgreSQL
  docket config                                  show every setting and where it came from
  docket --set limits.page_size_max=50 serve     change one setting

Exit codes: 0 success, 1 the command failed, 2 wrong usage or configuration.";

/// A regulatory case tracker: audited, idempotent, observable.
#[derive(Debug, Parser)]
#[command(name = "docket", version, about, after_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// Read settings from this file instead of docket.toml
    #[arg(long, global = true, value_name = "FILE", env = "DOCKET_CONFIG")]
    config: Option<PathBuf>,
    /// Change one setting; may be given several times
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_and_value)]
    set: Vec<(String, String)>,
    #[command(subcommand)]
    command: Command,
}

/// Every subcommand.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or Ctrl-C
    Serve(serve::Args),
    /// Serve with two fictional regulators and print their keys
    Demo(demo::Args),
    /// Apply the migrations that are missing, and stop
    Migrate(migrate::Args),
    /// Print the OpenAPI document
    Openapi(openapi::Args),
    /// Import cases from a CSV or JSON Lines file
    Import(import::Args),
    /// Export cases to CSV or JSON Lines
    Export(export::Args),
    /// Verify the audit trail, or seal it by a signed checkpoint
    Audit(audit::Args),
    /// List, create, suspend and resume tenants
    Tenants(tenants::Args),
    /// List, create, rotate and revoke API keys
    Keys(keys::Args),
    /// List, inspect, redrive or skip events that wait to be delivered
    Outbox(outbox::Args),
    /// List, show, run, cancel and redrive background jobs
    Jobs(jobs::Args),
    /// Bring in the documents of a directory and read them
    Ingest(ingest::Args),
    /// List plugins, where they come from, and whether they work
    Plugins(plugins::Args),
    /// Run plugins for the service that started this process
    #[command(hide = true)]
    PluginWorker(plugins::WorkerArgs),
    /// Serve a fictional company register that can be made slow, flaky or down
    Register(register::Args),
    /// Look after the bytes of evidence
    Evidence(evidence::Args),
    /// Break a service on purpose, follow the runbook, see it recover
    Drill(drill::Args),
    /// Measure retrieval and answers on judged questions
    Eval(eval::Args),
    /// Have the index of words built anew
    Index(index::Args),
    /// Show every setting, its value and where it came from
    Config(config::Args),
    /// Print the completion script of a shell
    Completions(completions::Args),
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

/// Runs the program: parse, read settings, set up telemetry, run the command, always flush.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let sources = sources(&cli);
    let outcome = match cli.command {
        Command::Config(args) => config::run(&args, &sources),
        Command::Drill(args) => drill::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Openapi(args) => openapi::run(&args),
        Command::PluginWorker(args) => plugins::work(&args),
        Command::Ingest(args) => with_service(&sources, |loaded| ingest::run(args, loaded)),
        Command::Plugins(args) => with_service(&sources, |loaded| plugins::run(args, loaded)),
        Command::Demo(args) => with_service(&sources, |loaded| demo::run(args, loaded)),
        Command::Migrate(args) => with_service(&sources, |loaded| migrate::run(args, loaded)),
        Command::Import(args) => with_service(&sources, |loaded| import::run(args, loaded)),
        Command::Export(args) => with_service(&sources, |loaded| export::run(args, loaded)),
        Command::Audit(args) => with_service(&sources, |loaded| audit::run(args, loaded)),
        Command::Tenants(args) => with_service(&sources, |loaded| tenants::run(args, loaded)),
        Command::Keys(args) => with_service(&sources, |loaded| keys::run(args, loaded)),
        Command::Outbox(args) => with_service(&sources, |loaded| outbox::run(args, loaded)),
        Command::Jobs(args) => with_service(&sources, |loaded| jobs::run(args, loaded)),
        Command::Eval(args) => with_service(&sources, |loaded| eval::run(args, loaded)),
        Command::Index(args) => with_service(&sources, |loaded| index::run(args, loaded)),
        Command::Register(args) => with_service(&sources, |_| register::run(args)),
        Command::Evidence(args) => with_service(&sources, |loaded| evidence::run(args, loaded)),
        Command::Serve(args) => with_service(&sources, |loaded| serve::run(args, loaded)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn sources(cli: &Cli) -> Sources {
    let pair =
        |(key, value): &(String, String)| Flag { flag: "--set".to_owned(), key: key.clone(), value: value.clone() };
    let mut flags: Vec<Flag> = cli.set.iter().map(pair).collect();
    if let Command::Serve(args) = &cli.command {
        flags.extend(args.flags());
    }
    Sources::of_process(cli.config.clone(), flags)
}

/// Runs a command with settings, telemetry and a runtime, and flushes telemetry at the end.
fn with_service<F>(sources: &Sources, command: impl FnOnce(Loaded) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let loaded = load(sources)?;
    let guard = telemetry::init(&loaded.config).map_err(|error| Failure::new(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(command(loaded));
            // Work on blocking threads (a file being hashed) must not hold up the exit.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            outcome
        }
        Err(error) => Err(Failure::new(format!("cannot start the runtime: {error}"))),
    };
    guard.shutdown();
    outcome
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_subcommand_is_well_formed_and_shows_examples() {
        let mut cli = Cli::command();
        cli.build();
        cli.clone().debug_assert();
        for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "docket {} has no examples", command.get_name());
        }
    }
}
