//! A company register for demonstrations (`docket register`): fictional companies, and a switch that makes it slow, flaky,
//! down or mad, so that one can watch how docket gets along with a service that is not its own.
//!
//! `GET /v1/companies?name=` answers, `GET /control` shows the mode and what was asked so far, `POST /control` changes the mode.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{StreamExt, stream};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The companies, and under which names one finds them.
const COMPANIES: &str = include_str!("../../../demo/companies.json");
/// A piece of an endless answer, in bytes.
const PIECE: usize = 64 * 1024;
/// Pieces of an endless answer: a gigabyte.
const PIECES: u64 = 16 * 1024;

/// How the register behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It answers.
    Ok,
    /// It answers after `delay_ms`.
    Slow,
    /// Of ten questions it fails `failures_of_ten`.
    Flaky,
    /// It answers 503 to every question.
    Down,
    /// It answers something that is no answer.
    Garbage,
    /// It answers a gigabyte.
    Flood,
}

/// The switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// How it behaves.
    pub mode: Mode,
    /// How long `slow` waits, in milliseconds.
    #[serde(default = "usual_delay")]
    pub delay_ms: u64,
    /// How many of ten questions `flaky` fails.
    #[serde(default = "usual_failures")]
    pub failures_of_ten: u64,
    /// What `flaky` and `down` say in `Retry-After`, in seconds; none says nothing.
    #[serde(default)]
    pub retry_after_seconds: Option<u64>,
}

impl Behaviour {
    /// The usual behaviour of a mode.
    pub fn of(mode: Mode) -> Self {
        Self { mode, delay_ms: usual_delay(), failures_of_ten: usual_failures(), retry_after_seconds: None }
    }
}

fn usual_delay() -> u64 {
    30_000
}

fn usual_failures() -> u64 {
    5
}

#[derive(Deserialize, Serialize, Clone)]
struct Company {
    number: String,
    name: String,
    #[serde(skip_serializing)]
    known_as: String,
    status: String,
    address: String,
}

/// The register.
#[derive(Clone)]
pub struct Register(Arc<Inner>);

struct Inner {
    companies: Vec<Company>,
    behaviour: Mutex<Behaviour>,
    asked: AtomicU64,
    answered: AtomicU64,
    sent_bytes: AtomicU64,
}

impl Register {
    /// A register of the demonstration's companies that behaves well.
    ///
    /// # Errors
    /// When the list of companies that was compiled in cannot be read.
    pub fn new() -> Result<Self, serde_json::Error> {
        Ok(Self(Arc::new(Inner {
            companies: serde_json::from_str(COMPANIES)?,
            behaviour: Mutex::new(Behaviour::of(Mode::Ok)),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
        })))
    }

    /// Behaves like this from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.0.behaviour.lock() = behaviour;
    }

    /// Questions so far.
    pub fn asked(&self) -> u64 {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Bytes of endless answers that were taken from it.
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent_bytes.load(Ordering::Relaxed)
    }

    /// Serves on a listener until `stop` is cancelled.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let router = Router::new()
            .route("/v1/companies", get(find))
            .route("/control", get(show_control).post(change_control))
            .with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

#[derive(Deserialize)]
struct Wanted {
    name: String,
}

async fn find(State(Register(inner)): State<Register>, Query(wanted): Query<Wanted>) -> Response {
    let number = inner.asked.fetch_add(1, Ordering::Relaxed);
    let behaviour = *inner.behaviour.lock();
    match behaviour.mode {
        Mode::Slow => tokio::time::sleep(Duration::from_millis(behaviour.delay_ms)).await,
        // Spread over the ten, as bad luck is: 0, 7, 4, 1, 8, 5, 2, 9, 6, 3.
        Mode::Flaky if number * 7 % 10 < behaviour.failures_of_ten => return unavailable(behaviour),
        Mode::Ok | Mode::Flaky => {}
        Mode::Down => return unavailable(behaviour),
        Mode::Garbage => return "<html><body>It works!</body></html>".into_response(),
        Mode::Flood => return flood(inner),
    }
    inner.answered.fetch_add(1, Ordering::Relaxed);
    let name = plain(&wanted.name);
    let matches = |company: &&Company| plain(&company.known_as) == name || plain(&company.name) == name;
    let found: Vec<_> = inner.companies.iter().filter(matches).cloned().collect();
    Json(json!({ "companies": found })).into_response()
}

/// Names are compared without regard to case and white space.
fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn unavailable(behaviour: Behaviour) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(seconds) = behaviour.retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    (StatusCode::SERVICE_UNAVAILABLE, headers, "the register is being maintained\n").into_response()
}

/// A gigabyte that is well-formed as far as it goes; what the other side does not read is not made.
fn flood(inner: Arc<Inner>) -> Response {
    let piece = Bytes::from(vec![b' '; PIECE]);
    let pieces = stream::iter(0..PIECES).map(move |_| {
        inner.sent_bytes.fetch_add(PIECE as u64, Ordering::Relaxed);
        Ok::<_, std::convert::Infallible>(piece.clone())
    });
    Body::from_stream(pieces).into_response()
}

async fn show_control(State(Register(inner)): State<Register>) -> Response {
    let (asked, answered) = (inner.asked.load(Ordering::Relaxed), inner.answered.load(Ordering::Relaxed));
    Json(json!({"behaviour": *inner.behaviour.lock(), "asked": asked, "answered": answered})).into_response()
}

async fn change_control(State(register): State<Register>, Json(behaviour): Json<Behaviour>) -> Response {
    register.behave(behaviour);
    tracing::info!(?behaviour, "the register behaves differently now");
    show_control(State(register)).await
}
