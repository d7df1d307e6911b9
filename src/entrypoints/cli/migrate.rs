//! `docket migrate`: bring the database to this version, and stop.

use super::Failure;
use crate::bootstrap;
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket migrate                                     the embedded database
  DATABASE_URL=postgres://... docket migrate         your own PostgreSQL
  DOCKET_DATABASE__MIGRATION_URL=postgres://owner... docket migrate
                                                     as the owner of the tables, while the service is another role

`docket serve` does the same at its start. Migrations run one after the other under a lock; running twice changes nothing.";

/// Arguments of `docket migrate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {}

/// Migrates.
pub async fn run(_: Args, loaded: Loaded) -> Result<(), Failure> {
    let database = bootstrap::database(&loaded.config).await?;
    database.close().await.map_err(|error| Failure::new(error.to_string()))?;
    println!("The database is at this version.");
    Ok(())
}
