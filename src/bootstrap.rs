//! The composition root: the only file that names both ports and adapters.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::adapters::system::SystemClock;
use crate::config::Config;
use crate::entrypoints::http::health::HealthBoard;
use crate::entrypoints::http::middleware::{Shell, ShellSettings, wrap};
use crate::entrypoints::http::{metrics, problem_pages, server};
use crate::telemetry;

/// Builds the service from `config` and runs it until `shutdown` is cancelled and the requests in flight have finished.
pub async fn serve(mut config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind} (server.bind)"))?;
    // Port 0 takes a free one; links must name the real one.
    config.server.bind = listener.local_addr()?;
    let upkeep = tokio::spawn(telemetry::metrics::upkeep());
    let health = HealthBoard::new(Vec::new(), shutdown.clone());
    let router = health.routes().merge(metrics::routes()).merge(problem_pages::routes());
    let shell = Shell::new(ShellSettings::from(&config), Arc::new(SystemClock::new()));
    health.mark_started();
    tracing::info!(url = config.public_url(), "listening");
    server::serve(listener, wrap(router, shell), (&config.server).into(), shutdown).await?;
    upkeep.abort();
    tracing::info!("stopped");
    Ok(())
}
