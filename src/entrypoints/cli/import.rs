//! `docket import cases`: cases from a file, in batches, resumable, with a report.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use docket_domain::ids::TenantId;
use docket_domain::principal::Actor;
use sha2::{Digest, Sha256};

use super::Failure;
use super::import_report::{Report, summary};
use crate::application::bulk::file_rows::FileError;
use crate::application::bulk::format::{Encoding, Format};
use crate::application::bulk::mapping::Mapping;
use crate::application::bulk::mapping_file;
use crate::application::cases::import_cases::{ImportError, ImportPlan, OnConflict};
use crate::application::request::Caller;
use crate::bootstrap::{self, Parts};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket import cases cases.csv --tenant harbour-safety                 our own export, CSV or JSON Lines
  docket import cases phmsa.csv --tenant demo --mapping mappings/phmsa.toml --dry-run
  docket import cases phmsa.csv --tenant demo --mapping mappings/phmsa.toml --errors rejected.csv
  docket import cases old.csv --tenant demo --encoding auto --on-conflict update

An import that was interrupted goes on where it stopped when it is started again with the same file and mapping.

Exit codes: 0 every row is in, 1 some rows were rejected (the others are in) or the import failed, 2 wrong usage.";

/// Arguments of `docket import`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be imported.
#[derive(Debug, Subcommand)]
enum What {
    /// Import cases from a CSV or JSON Lines file
    Cases(CasesArgs),
}

/// Arguments of `docket import cases`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct CasesArgs {
    /// The file to read
    file: PathBuf,
    /// The tenant that gets the cases
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// What the columns mean (TOML); without it the file has the columns of `docket export cases`
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// csv or jsonl; without it the file's name says
    #[arg(long)]
    format: Option<Format>,
    /// utf-8, cp1252, or auto (cp1252 for the rows that are not UTF-8)
    #[arg(long, default_value = "utf-8")]
    encoding: Encoding,
    /// Validate everything, change nothing
    #[arg(long)]
    dry_run: bool,
    /// Write rejected rows to this CSV file: line, reference, field, reason, record
    #[arg(long, value_name = "FILE")]
    errors: Option<PathBuf>,
    /// skip, update or fail: what to do with a case that exists with other content
    #[arg(long, default_value = "skip")]
    on_conflict: OnConflict,
    /// Rows committed together
    #[arg(long, value_name = "ROWS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Go on where an interrupted import of the same file and mapping stopped
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    resume: bool,
}

/// Imports, and tells what became of each row.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let What::Cases(args) = args.what;
    let mapping = Arc::new(mapping(args.mapping.as_deref())?);
    let (file, size) = open(&args.file)?;
    let format = match args.format {
        Some(format) => format,
        None => guess(&args.file)?,
    };
    let plan = ImportPlan {
        mapping,
        format,
        encoding: args.encoding,
        batch: args.batch as usize,
        on_conflict: args.on_conflict,
        dry_run: args.dry_run,
        resume: args.resume,
        file_name: args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        file_sha256: digest(&args.file)?,
    };
    let database = bootstrap::database(&loaded.config).await?;
    let outcome = import(&args, &plan, file, size, &Parts::from_pool(database.pool.clone())).await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    outcome
}

async fn import(args: &CasesArgs, plan: &ImportPlan, file: File, size: u64, parts: &Parts) -> Result<(), Failure> {
    let tenant = tenant(parts, &args.tenant).await?;
    let caller =
        Caller { actor: Actor::system(tenant), request_id: String::new(), trace_id: String::new(), traceparent: None };
    let mut report = Report::new(args.errors.clone(), size);
    let outcome = parts.importing().run(&caller, plan, file, &mut report).await;
    report.end();
    let progress = outcome.map_err(failure)?;
    print!("{}", summary(&progress, report.started_with(), plan.dry_run, report.elapsed()));
    if progress.rejected == 0 {
        return Ok(());
    }
    let told = match &args.errors {
        Some(path) => format!("{} tells why", path.display()),
        None => "--errors FILE tells why for each of them".to_owned(),
    };
    Err(Failure::new(format!("{} row(s) were rejected; {told}", progress.rejected)))
}

/// The tenant of this name.
pub(super) async fn tenant(parts: &Parts, name: &str) -> Result<TenantId, Failure> {
    let found = parts.bulk().tenant_named(name).await;
    let found = found.map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    found.ok_or_else(|| Failure::usage(format!("there is no tenant `{name}`")))
}

fn mapping(path: Option<&Path>) -> Result<Mapping, Failure> {
    let Some(path) = path else {
        return mapping_file::parse("the built-in mapping", mapping_file::DOCKET)
            .map_err(|error| Failure::usage(error.to_string()));
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the mapping {}: {error}", path.display())))?;
    mapping_file::parse(&path.display().to_string(), &text).map_err(|error| Failure::usage(error.to_string()))
}

fn open(path: &Path) -> Result<(File, u64), Failure> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
    match opened {
        Ok((metadata, file)) if metadata.is_file() => Ok((file, metadata.len())),
        Ok(_) => Err(Failure::usage(format!("{} is not a file", path.display()))),
        Err(error) => Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
    }
}

/// The format by the file's name, else by its first character: JSON Lines begin with a brace.
fn guess(path: &Path) -> Result<Format, Failure> {
    if let Some(format) = Format::of_name(&path.to_string_lossy()) {
        return Ok(format);
    }
    let (file, _) = open(path)?;
    let mut reader = BufReader::new(file);
    let first =
        reader.fill_buf().map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let first = first.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(if first == Some(&b'{') { Format::Jsonl } else { Format::Csv })
}

/// SHA-256 of the file: what an interrupted import is recognised by.
fn digest(path: &Path) -> Result<[u8; 32], Failure> {
    let failed = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
    let (mut file, _) = open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finalize().into()),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn failure(error: ImportError) -> Failure {
    match error {
        ImportError::File(FileError::Header { .. } | FileError::NoHeader(_)) => Failure::usage(error.to_string())
            .with_hint("--mapping FILE says which column fills which field; see mappings/ for examples"),
        ImportError::Conflict { .. } => Failure::new(error.to_string())
            .with_hint("--on-conflict skip leaves such cases as they are, --on-conflict update changes them"),
        other => Failure::from(anyhow::Error::from(other)),
    }
}
