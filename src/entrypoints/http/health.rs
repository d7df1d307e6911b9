//! GET /healthz, /readyz and /startupz: whether the process answers, may take requests, has warmed up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::application::ports::health::{HealthProbe, ProbeState};
use crate::telemetry::dependencies::DEPENDENCY_UP;

/// How often [`HealthBoard::watch`] looks.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How long an answer of a probe is shown again, so that probing cannot hammer the database.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// How long a probe may take before it counts as down.
const CHECK_WITHIN: Duration = Duration::from_secs(2);

/// The last known state of every part.
#[derive(Clone)]
pub struct HealthBoard(Arc<Board>);

struct Board {
    parts: Vec<Part>,
    started: AtomicBool,
    shutdown: CancellationToken,
}

struct Part {
    probe: Arc<dyn HealthProbe>,
    /// The lock is held while the part is asked, so that a crowd of probers asks once.
    last: Mutex<Option<(Instant, ProbeState)>>,
}

impl HealthBoard {
    /// A board over `probes`; readiness fails the moment `shutdown` is cancelled.
    pub fn new(probes: Vec<Arc<dyn HealthProbe>>, shutdown: CancellationToken) -> Self {
        let parts = probes.into_iter().map(|probe| Part { probe, last: Mutex::new(None) }).collect();
        Self(Arc::new(Board { parts, started: AtomicBool::new(false), shutdown }))
    }

    /// Says that migrations and warm-up are done.
    pub fn mark_started(&self) {
        self.0.started.store(true, Ordering::Release);
    }

    /// Looks at every part every five seconds and shows what it saw as a gauge, until it is dropped: an alert must not
    /// depend on somebody else asking.
    pub async fn watch(self) {
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        loop {
            ticks.tick().await;
            for part in &self.0.parts {
                let (_, state) = part.look().await;
                let up = if state == ProbeState::Up { 1.0 } else { 0.0 };
                metrics::gauge!(DEPENDENCY_UP, "dependency" => part.probe.name()).set(up);
            }
        }
    }

    /// The three routes.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/healthz", get(async || Json(json!({"status": "up"}))))
            .route("/readyz", get(show_readiness))
            .route("/startupz", get(show_startup))
            .with_state(self.clone())
    }
}

impl Part {
    async fn look(&self) -> (Duration, ProbeState) {
        let mut last = self.last.lock().await;
        if let Some((asked, state)) = last.as_ref()
            && asked.elapsed() < FRESH_FOR
        {
            return (asked.elapsed(), state.clone());
        }
        let state = tokio::time::timeout(CHECK_WITHIN, self.probe.check())
            .await
            .unwrap_or_else(|_| ProbeState::Down(format!("no answer within {} s", CHECK_WITHIN.as_secs())));
        *last = Some((Instant::now(), state.clone()));
        (Duration::ZERO, state)
    }
}

async fn show_readiness(State(HealthBoard(board)): State<HealthBoard>) -> Response {
    let looks = futures::future::join_all(board.parts.iter().map(Part::look)).await;
    let mut ready = board.started.load(Ordering::Acquire);
    let mut degraded = false;
    let checks: Vec<_> = board
        .parts
        .iter()
        .zip(looks)
        .map(|(part, (age, state))| {
            let required = part.probe.required();
            let (word, detail) = match state {
                ProbeState::Up => ("up", None),
                ProbeState::Down(reason) => ("down", Some(reason)),
            };
            ready &= word == "up" || !required;
            degraded |= word == "down";
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            json!({"name": part.probe.name(), "required": required, "state": word, "age_ms": age, "detail": detail})
        })
        .collect();
    let stopping = board.shutdown.is_cancelled();
    let status = match (stopping, ready, degraded) {
        (true, _, _) => "stopping",
        (false, false, _) => "unavailable",
        (false, true, true) => "degraded",
        (false, true, false) => "ready",
    };
    let code = if ready && !stopping { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({"status": status, "checks": checks}))).into_response()
}

async fn show_startup(State(HealthBoard(board)): State<HealthBoard>) -> Response {
    if board.started.load(Ordering::Acquire) {
        Json(json!({"status": "started"})).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "starting"}))).into_response()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicUsize;

    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    struct Fake {
        name: &'static str,
        required: bool,
        up: AtomicBool,
        asked: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl HealthProbe for Fake {
        fn name(&self) -> &'static str {
            self.name
        }
        fn required(&self) -> bool {
            self.required
        }
        async fn check(&self) -> ProbeState {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.up.load(Ordering::Relaxed) { ProbeState::Up } else { ProbeState::Down("refused".to_owned()) }
        }
    }

    fn fake(name: &'static str, required: bool, up: bool) -> Arc<Fake> {
        Arc::new(Fake { name, required, up: up.into(), asked: AtomicUsize::new(0) })
    }

    async fn get(board: &HealthBoard, path: &str) -> (StatusCode, Value) {
        let response = board.routes().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_required_part_that_is_down_fails_readiness_and_an_optional_one_is_only_named() {
        let (database, nats) = (fake("database", true, true), fake("nats", false, false));
        let board = HealthBoard::new(vec![database.clone(), nats], CancellationToken::new());
        assert_eq!(get(&board, "/startupz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&board, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE, "not started");
        board.mark_started();
        assert_eq!(get(&board, "/startupz").await.0, StatusCode::OK);
        let (status, body) = get(&board, "/readyz").await;
        assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("degraded")));
        assert_eq!(body["checks"][1]["detail"], "refused");
        database.up.store(false, Ordering::Relaxed);
        tokio::time::advance(Duration::from_millis(1_100)).await;
        assert_eq!(get(&board, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&board, "/healthz").await.0, StatusCode::OK, "health never touches a dependency");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_probes_in_a_second_ask_a_part_once() {
        let database = fake("database", true, true);
        let board = HealthBoard::new(vec![database.clone()], CancellationToken::new());
        futures::future::join_all((0..100).map(|_| get(&board, "/readyz"))).await;
        assert_eq!(database.asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn readiness_fails_the_moment_shutdown_begins() {
        let shutdown = CancellationToken::new();
        let board = HealthBoard::new(vec![fake("database", true, true)], shutdown.clone());
        board.mark_started();
        assert_eq!(get(&board, "/readyz").await.0, StatusCode::OK);
        shutdown.cancel();
        let (status, body) = get(&board, "/readyz").await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("stopping")));
    }
}
