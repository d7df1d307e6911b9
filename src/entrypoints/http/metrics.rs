//! GET /metrics: everything measured, in Prometheus' text format.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::telemetry;

/// The route of the metrics.
pub fn routes() -> Router {
    Router::new().route("/metrics", get(show_metrics))
}

async fn show_metrics() -> impl IntoResponse {
    ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], telemetry::metrics::render())
}
