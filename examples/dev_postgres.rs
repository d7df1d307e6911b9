//! Starts or adopts the embedded PostgreSQL, for `make sqlx`: prints the URL of database `docket_dev` and leaves the
//! server running. `cargo run --example dev_postgres -- DATA_DIR` starts, with `--stop` it stops.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use clap::Parser;
use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedSettings};
use sqlx::{Connection, Executor, PgConnection};

/// Name of the database against which queries are checked.
const DATABASE: &str = "docket_dev";

/// Starts or adopts the embedded PostgreSQL in a data directory.
#[derive(Parser)]
struct Arguments {
    /// The data directory, for example `.docket/dev-postgres`; created when missing.
    data_dir: PathBuf,
    /// Stops the server instead; it stays if another process uses it.
    #[arg(long)]
    stop: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.stop && !arguments.data_dir.join("postmaster.pid").exists() {
        return Ok(());
    }
    // It holds nothing but an empty schema, so it need not survive a power failure.
    let settings = EmbeddedSettings { durable: false, ..EmbeddedSettings::new(arguments.data_dir) };
    let server = EmbeddedPostgres::start(&settings).await?;
    if arguments.stop {
        server.stop().await?;
        return Ok(());
    }
    let mut connection = PgConnection::connect(&server.url(server.superuser(), "postgres")).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        connection.execute("CREATE DATABASE docket_dev").await?;
    }
    connection.close().await?;
    println!("{}", server.url(server.superuser(), DATABASE));
    Ok(())
}
