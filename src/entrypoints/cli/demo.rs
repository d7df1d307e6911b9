//! `docket demo`: the service with two fictional regulators, their keys printed, until Ctrl-C.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use console::style;
use docket_domain::principal::Role;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serve::{drain_delay, stop_on_signal};
use super::{Failure, demo_documents, register};
use crate::application::demo::seed_demo::{SeededTenant, seed_demo};
use crate::application::demo::seed_documents::Missing;
use crate::application::knowledge::library::Library;
use crate::bootstrap::{self, Parts, Shutdown};
use crate::config::{Config, Loaded};

const EXAMPLES: &str = "\
Examples:
  docket demo                             start everything, print the URL and the demo keys
  docket demo --register                  with a company register, see `docket register --help`
  docket --set server.bind=127.0.0.1:9000 demo
                                          the same on another port
  jq -r '.tenants[0].keys.reporter' .docket/demo.json
                                          a demo key for a script

A second start keeps tenants, keys, cases and documents. The keys stand in .docket/demo.json, readable by you alone.
Never use it for real cases: whoever reads that file has every role.";

/// What the printed line asks the documents.
const QUESTION: &str = "For how many years must the log of berth inspections be kept since the beginning of 2026?";

/// Arguments of `docket demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Start a fictional company register, too, and let docket ask it about respondents
    #[arg(long)]
    register: bool,
    /// Leave the demo documents out
    #[arg(long)]
    no_documents: bool,
}

/// What scripts and load tests read.
#[derive(Debug, Serialize, Deserialize)]
struct DemoFile {
    url: String,
    tenants: Vec<SeededTenant>,
}

/// Seeds what is missing, prints how to begin, serves until told to stop.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let mut config = loaded.config;
    let shutdown = Shutdown::default();
    tokio::spawn(stop_on_signal(shutdown.clone(), drain_delay(&config)));
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        Failure::new(format!("cannot listen on {bind}: {error}"))
            .with_hint("another service has this port; choose one with `docket --set server.bind=127.0.0.1:9000 demo`")
    })?;
    if args.register {
        let address = start_register(&shutdown.closing).await?;
        config.enrichment.url.get_or_insert(format!("http://{address}"));
    }
    let database = bootstrap::database(&config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let library = parts.library(&config, parts.administration(&config))?;
    let outcome = match prepare(&config, &parts, &listener, (!args.no_documents).then_some(&library)).await {
        Ok(missing) => {
            // Beside the service, which reads them: nobody waits for documents to see cases.
            let documents = tokio::spawn(demo_documents::bring(library, missing, shutdown.begun.clone()));
            let served = bootstrap::run(config, parts, listener, shutdown.clone()).await.map_err(Failure::from);
            shutdown.begin(Duration::ZERO);
            documents.await.map_err(|error| Failure::new(error.to_string()))?;
            served
        }
        Err(failure) => Err(failure),
    };
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    outcome
}

/// Starts the company register; it ends with the service.
async fn start_register(shutdown: &CancellationToken) -> Result<SocketAddr, Failure> {
    let usual = register::USUAL_ADDRESS.parse().map_err(|_| Failure::new("the register's usual address is none"))?;
    let (register, listener) = register::open(usual).await?;
    let address = listener.local_addr().map_err(|error| Failure::new(error.to_string()))?;
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = register.serve(listener, stop).await {
            tracing::error!(%error, "the company register ended");
        }
    });
    println!("  {} the company register is at http://{address}", style("✓").green());
    Ok(address)
}

/// Seeds and says how to begin. What is given back are the documents that are missing.
async fn prepare(
    config: &Config,
    parts: &Parts,
    listener: &TcpListener,
    library: Option<&Library>,
) -> Result<Vec<Missing>, Failure> {
    let path = &config.demo.file;
    let known = read(path);
    let mut told = |step: &str| println!("  {} {step}", style("✓").green());
    println!("{}", style("Preparing the demo").bold());
    let (tenancy, import) = (parts.administration(config), parts.importing());
    let seeded = seed_demo(&tenancy, &import, &parts.forgetful_authenticator(), &known, &mut told).await;
    let tenants = seeded.map_err(|error| Failure::from(anyhow::Error::from(error)))?;
    let missing = match library {
        Some(library) => demo_documents::look(library).await?,
        None => Vec::new(),
    };
    let address = listener.local_addr().map_err(|error| Failure::new(error.to_string()))?;
    let url = if config.server.public_url.is_empty() { format!("http://{address}") } else { config.public_url() };
    let file = DemoFile { url, tenants };
    write(path, &file).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))?;
    print_welcome(&file, path);
    Ok(missing)
}

fn read(path: &Path) -> Vec<SeededTenant> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str::<DemoFile>(&text).map(|file| file.tenants).unwrap_or_default()
}

/// Writes beside the file and renames, so that a script never reads half of it.
fn write(path: &Path, file: &DemoFile) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let beside = path.with_extension("json.new");
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    serde_json::to_writer_pretty(&mut out, file)?;
    out.write_all(b"\n")?;
    std::fs::rename(beside, path)
}

fn print_welcome(file: &DemoFile, path: &Path) {
    let url = &file.url;
    println!("\n{} {}   API {url}/docs\n", style("docket is at").bold(), style(url).cyan().underlined());
    for tenant in &file.tenants {
        println!("{}", style(&tenant.name).bold());
        for (role, key) in &tenant.keys {
            println!("  {role:<11} {key}");
        }
    }
    println!("\nThe same stands in {}. Try:\n", path.display());
    let key = |role| file.tenants.first().and_then(|tenant| tenant.keys.get(&role)).map_or("KEY", String::as_str);
    println!(
        "  curl -s -H 'Authorization: Bearer {}' '{url}/v1/cases?state=escalated&limit=3'\n",
        key(Role::Supervisor)
    );
    println!(
        "  curl -s -H 'Authorization: Bearer {}' -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \\\n    \
         -d '{{\"title\": \"Unlit buoy\", \"severity\": \"high\"}}' {url}/v1/cases\n",
        key(Role::Reporter)
    );
    println!("  curl -s -H 'Authorization: Bearer {}' '{url}/v1/cases?q=buoy&count=true'\n", key(Role::Auditor));
    println!(
        "  curl -s -H 'Authorization: Bearer {}' -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \\\n    \
         -d '{{\"question\": \"{QUESTION}\"}}' {url}/v1/answers\n",
        key(Role::Caseworker)
    );
    println!("Ctrl-C stops docket and its database.\n");
}
