//! The composition root: the only file that names both ports and adapters.

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Builds the service from `config` and runs it until `shutdown` is cancelled and the requests in flight have finished.
pub async fn serve(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind} (server.bind)"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    shutdown.cancelled().await;
    Ok(())
}
