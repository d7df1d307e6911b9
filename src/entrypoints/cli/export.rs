//! `docket export cases`: cases as CSV or JSON Lines, in a form that `docket import cases` takes back unchanged.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Subcommand;
use docket_domain::case::State;
use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use super::import::tenant;
use crate::application::bulk::format::Format;
use crate::application::cases::export_cases::ExportError;
use crate::bootstrap::{self, Parts};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket export cases --tenant demo > cases.csv
  docket export cases --tenant demo --output cases.jsonl
  docket export cases --tenant demo --state under_review --state escalated --format jsonl | jq .title

Every case of the tenant is exported, whatever its confidentiality. In CSV, a cell that begins like a formula gets an
apostrophe in front, which the import takes off again.";

/// Arguments of `docket export`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be exported.
#[derive(Debug, Subcommand)]
enum What {
    /// Export cases to CSV or JSON Lines
    Cases(CasesArgs),
}

/// Arguments of `docket export cases`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct CasesArgs {
    /// The tenant whose cases are exported
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// Only cases in this state; may be given several times
    #[arg(long, value_name = "STATE")]
    state: Vec<State>,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// csv or jsonl; without it the output file's name says, else csv
    #[arg(long)]
    format: Option<Format>,
}

/// Exports.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let What::Cases(args) = args.what;
    let database = bootstrap::database(&loaded.config).await?;
    let outcome = export(&args, &Parts::from_pool(database.pool.clone())).await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    outcome
}

async fn export(args: &CasesArgs, parts: &Parts) -> Result<(), Failure> {
    let tenant = tenant(parts, &args.tenant).await?;
    let by_name = args.output.as_ref().and_then(|path| Format::of_name(&path.to_string_lossy()));
    let format = args.format.or(by_name).unwrap_or(Format::Csv);
    let sink: Box<dyn Write + Send> = match &args.output {
        None => Box::new(BufWriter::new(io::stdout())),
        Some(path) => {
            let file = File::create(path)
                .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?;
            Box::new(BufWriter::new(file))
        }
    };
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} cases  {per_sec}") {
        bar.set_style(style);
    }
    if args.output.is_none() {
        // The cases themselves may be on the terminal.
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    let outcome = parts.exporting().run(tenant, &args.state, format, sink, &mut |count| bar.set_position(count)).await;
    bar.finish_and_clear();
    match outcome {
        // A reader that went away (`| head`) is no failure.
        Err(ExportError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::from(anyhow::Error::from(error))),
        Ok(count) => {
            if let Some(path) = &args.output {
                eprintln!("{count} cases written to {}", path.display());
            }
            Ok(())
        }
    }
}
