//! Step 8: a panic of one request must not take its connection or its neighbours down.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::entrypoints::http::problem::{Problem, ProblemKind};
use crate::telemetry::metrics::HTTP_PANICS;

/// Runs `work`; a panic becomes a 500 problem that says nothing of its cause. The panic hook has logged it.
pub(super) async fn caught(work: impl Future<Output = Response>, route: &str) -> Response {
    // Nothing of the request survives the panic, so no broken invariant can be seen.
    if let Ok(response) = AssertUnwindSafe(work).catch_unwind().await {
        return response;
    }
    metrics::counter!(HTTP_PANICS, "route" => route.to_owned()).increment(1);
    Problem::new(ProblemKind::Internal, "The request could not be completed because of a fault in the service.")
        .into_response()
}
