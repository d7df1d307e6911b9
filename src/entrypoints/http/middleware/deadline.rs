//! Step 7: a request that takes too long is given up: 408 when its body did not arrive, 503 when we were slow.

use std::future::Future;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use super::body_limit::Received;
use crate::entrypoints::http::problem::{Problem, ProblemKind};

/// Waits for the head of the answer. Dropping the handler rolls back its transaction.
pub(super) async fn within(limit: Duration, received: &Received, work: impl Future<Output = Response>) -> Response {
    if let Ok(response) = tokio::time::timeout(limit, work).await {
        return response;
    }
    let problem = if received.is_complete() {
        let detail = format!("No answer was ready within {} ms.", limit.as_millis());
        Problem::new(ProblemKind::ServiceUnavailable, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    } else {
        let detail = format!("The body did not arrive within {} ms.", limit.as_millis());
        // The rest of the body may still be under way: the connection cannot be used again.
        Problem::new(ProblemKind::RequestTimeout, detail)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    };
    problem.into_response()
}
