//! `docket audit verify` and `docket audit checkpoint`: is the trail as it was written, and sealing that it is.

use std::io::IsTerminal as _;

use clap::Subcommand;
use docket_domain::ids::TenantId;
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use super::Failure;
use crate::application::audit::checkpoints::make_checkpoint;
use crate::application::audit::verify_chains::verify_chains;
use crate::application::audit::verify_checkpoints::Witness;
use crate::application::audit::verify_trail::verify_trail;
use crate::application::error::UseCaseError;
use crate::bootstrap::{self, Parts};
use crate::config::{Config, Loaded};

const EXAMPLES: &str = "\
Examples:
  docket audit verify                                      every chain and checkpoint of every tenant
  docket audit verify --tenant harbour-safety              of one tenant
  docket audit verify --tenant harbour-safety --case 0190f3c2-...
  docket audit verify --tenant harbour-safety --witness 12:9f86d081...
  docket audit checkpoint                                  seal the trail of every tenant
  docket audit public-key                                  of the key that seals, for `audit.retired_keys` and for verifiers

A checkpoint is printed as NUMBER:DIGEST. Keep it elsewhere: as --witness it proves that no newer checkpoint was cut off.

Exit codes: 0 all is well, 1 the trail was tampered with or could not be read, 2 wrong usage.";

/// Arguments of `docket audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done with the trail.
#[derive(Debug, Subcommand)]
enum What {
    /// Verify hashes, sequence and heads of all chains, and all checkpoints
    Verify(VerifyArgs),
    /// Sign the chain heads that moved since the last checkpoint
    Checkpoint(CheckpointArgs),
    /// Print the public key of the key that signs checkpoints, in hexadecimal digits
    #[command(after_help = EXAMPLES)]
    PublicKey,
}

/// Arguments of `docket audit verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct VerifyArgs {
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only the chain of this case
    #[arg(long, value_name = "ID", requires = "tenant")]
    case: Option<Uuid>,
    /// A checkpoint that was written down; it must still be there
    #[arg(long, value_name = "NUMBER:DIGEST", requires = "tenant", conflicts_with = "case")]
    witness: Option<Witness>,
}

/// Arguments of `docket audit checkpoint`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct CheckpointArgs {
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
}

/// Verifies or seals.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let config = loaded.config;
    let database = bootstrap::database(&config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let outcome = match args.what {
        What::Verify(args) => verify(&parts, &config, args).await,
        What::Checkpoint(args) => checkpoint(&parts, &config, args).await,
        What::PublicKey => {
            parts.signer(&config).map(|signer| println!("{}", hex::encode(signer.public_key()))).map_err(Failure::from)
        }
    };
    database.close().await.map_err(|error| Failure::new(error.to_string()))?;
    outcome
}

async fn verify(parts: &Parts, config: &Config, args: VerifyArgs) -> Result<(), Failure> {
    let (store, signer) = (parts.audit(), parts.signer(config)?);
    let mut broken = 0_usize;
    for (id, name) in tenants(parts, config, args.tenant.as_deref()).await? {
        if let Some(case) = args.case {
            let reports = verify_chains(store.as_ref(), id, &[case]).await.map_err(failed)?;
            for report in reports {
                match report.fault {
                    None if report.head.seq == 0 => return Err(Failure::new(format!("{name} has no case {case}"))),
                    None => println!("{name}: case {case}: {} records, valid", report.head.seq),
                    Some(fault) => {
                        println!("{name}: case {case}: {fault}");
                        broken += 1;
                    }
                }
            }
            continue;
        }
        let progress = progress();
        let told = |chains| progress.set_message(format!("{name}: {chains} chains"));
        let report = verify_trail(store.as_ref(), signer.as_ref(), id, args.witness, told).await.map_err(failed)?;
        progress.finish_and_clear();
        let verdict = if report.faults.is_empty() { "valid" } else { "NOT VALID" };
        let (chains, records, checkpoints) = (report.chains, report.records, report.checkpoints);
        println!("{name}: {chains} chains, {records} records, {checkpoints} checkpoints: {verdict}");
        for fault in &report.faults {
            println!("{name}: {}", fault.detail);
        }
        broken += report.faults.len();
    }
    if broken == 0 {
        Ok(())
    } else {
        Err(Failure::new(format!("the audit trail is not as it was written: {broken} fault(s)")))
    }
}

async fn checkpoint(parts: &Parts, config: &Config, args: CheckpointArgs) -> Result<(), Failure> {
    let (store, signer) = (parts.audit(), parts.signer(config)?);
    for (id, name) in tenants(parts, config, args.tenant.as_deref()).await? {
        let made = make_checkpoint(store.as_ref(), signer.as_ref(), parts.clock.as_ref(), id).await.map_err(failed)?;
        let statement = made.statement;
        println!("{name}: {}:{} ({} heads)", statement.number, hex::encode(statement.digest()), statement.heads);
    }
    Ok(())
}

/// The tenant of this name, or all of them.
async fn tenants(parts: &Parts, config: &Config, name: Option<&str>) -> Result<Vec<(TenantId, String)>, Failure> {
    let store = parts.administration(config).store;
    let mut found = Vec::new();
    if let Some(name) = name {
        let tenant = store.tenant_named(name).await.map_err(|error| failed(error.into()))?;
        let tenant = tenant.ok_or_else(|| Failure::new(format!("there is no tenant {name:?}")))?;
        return Ok(vec![(tenant.id, tenant.name)]);
    }
    loop {
        let after = found.last().map(|(id, _): &(TenantId, String)| id.0);
        let page = store.tenants(after, 100).await.map_err(|error| failed(error.into()))?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page.into_iter().map(|tenant| (tenant.id, tenant.name)));
    }
}

fn progress() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.with_style(style)
}

/// The error with its causes, for whoever sits at the terminal.
fn failed(error: UseCaseError) -> Failure {
    anyhow::Error::new(error).into()
}
