//! `docket index`: the index of words that every replica keeps in its memory.

use clap::Subcommand;

use super::Failure;
use crate::bootstrap::{self, Parts};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket index rebuild    every replica builds its index of words anew from the database, beside the one in use";

/// Arguments of `docket index`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum What {
    /// Ask every replica to build its index anew
    #[command(after_help = EXAMPLES)]
    Rebuild,
}

/// Looks after the index.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let What::Rebuild = args.what;
    let database = bootstrap::database(&loaded.config).await?;
    let asked = Parts::from_pool(database.pool.clone()).keyword_feed().request_rebuild().await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    let epoch = asked.map_err(anyhow::Error::from)?;
    println!("every replica builds its index of words anew (number {epoch}); searches go on with the one they have");
    Ok(())
}
