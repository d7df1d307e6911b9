//! The change feed as a stream: `GET /v1/events` with `Accept: text/event-stream`.
//!
//! Each message carries as its id the cursor to go on from, so that a client which lost the connection resumes with
//! `Last-Event-ID` where it was (WHATWG HTML, section 9.2). Events come from the same pages as the poll; hints only make it
//! quick. A stream ends soon after its credential does. What a client does not read waits in a bounded buffer and then in the database.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use docket_domain::case::EventType;
use docket_domain::ids::TenantId;
use futures::{StreamExt, stream};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::case_list::viewer;
use super::problem::{Problem, ProblemKind};
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::events::envelope::Envelope;
use crate::application::events::read_feed::read_feed;
use crate::application::ports::event_feed::FeedPosition;
use crate::application::request::Caller;

/// Messages that wait for a slow client at most.
const BUFFER: usize = 64;
/// Events read at a time.
const PAGE: u32 = 100;
/// How often to look without a hint.
const LOOK: Duration = Duration::from_secs(1);
/// How long a client may leave the buffer full.
const PATIENCE: Duration = Duration::from_secs(30);
/// When a client comes back after the end of a stream, in milliseconds.
const RETRY: &str = "retry: 1000\n\n";

/// How many streams there may be, and when they end.
#[derive(Debug, Clone)]
pub struct StreamRules {
    /// In this process.
    pub max: usize,
    /// Of one tenant.
    pub max_per_tenant: usize,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// The longest life of a stream: afterwards the client shows its credential again.
    pub longest: Duration,
    /// When the process is told to stop.
    pub stop: CancellationToken,
}

/// Streams that are open.
#[derive(Debug, Clone)]
pub struct Streams {
    rules: StreamRules,
    open: Arc<Mutex<Vec<TenantId>>>,
}

/// One open stream; makes room when it is dropped.
struct Place(TenantId, Arc<Mutex<Vec<TenantId>>>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.1.lock();
        if let Some(at) = open.iter().position(|tenant| *tenant == self.0) {
            open.swap_remove(at);
        }
    }
}

impl Streams {
    /// None are open yet.
    pub fn new(rules: StreamRules) -> Self {
        Self { rules, open: Arc::default() }
    }

    fn admit(&self, tenant: TenantId) -> Result<Place, Problem> {
        let mut open = self.open.lock();
        let own = open.iter().filter(|other| **other == tenant).count();
        if open.len() >= self.rules.max || own >= self.rules.max_per_tenant || self.rules.stop.is_cancelled() {
            let detail = "too many streams of events are open; poll, or come back later";
            return Err(Problem::new(ProblemKind::ServiceUnavailable, detail)
                .with_header(http::header::RETRY_AFTER, HeaderValue::from_static("5")));
        }
        open.push(tenant);
        Ok(Place(tenant, self.open.clone()))
    }
}

/// What a stream shows, and from where.
pub struct Request {
    /// Who reads.
    pub caller: Caller,
    /// The credential that says so; it is looked at again with each sign of life.
    pub credential: String,
    /// Which types; empty means all.
    pub types: Vec<EventType>,
    /// What its cursors are bound to.
    pub bound: String,
    /// Where it begins.
    pub after: Option<FeedPosition>,
}

/// Opens a stream. The first page is read before the answer begins, so that what is wrong is a problem and not a silence.
pub fn open(state: ApiState, request: Request) -> Result<Response, Problem> {
    let place = state.streams.admit(request.caller.actor.tenant_id)?;
    request.caller.require_scope(docket_domain::principal::Scope::CasesRead)?;
    let (sender, receiver) = mpsc::channel::<Bytes>(BUFFER);
    tokio::spawn(async move {
        let stop = state.streams.rules.stop.clone();
        let longest = state.streams.rules.longest;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(longest) => {}
            result = feed(&state, &request, &sender) => if let Err(error) = result {
                tracing::warn!(%error, "a stream of events ended");
            },
        }
        drop(place);
    });
    let frames =
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|frame| (frame, receiver)) });
    let frames = stream::once(async { Bytes::from_static(RETRY.as_bytes()) }).chain(frames);
    let mut response = Response::new(Body::from_stream(frames.map(Ok::<_, Infallible>)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx hold streams back unless they are told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// Writes pages as they come until the client goes.
async fn feed(state: &ApiState, request: &Request, sender: &mpsc::Sender<Bytes>) -> Result<(), UseCaseError> {
    let tenant = request.caller.actor.tenant_id;
    let mut hints = state.writing.wakeups.listen();
    let mut after = request.after;
    let mut last_sign = tokio::time::Instant::now();
    let mut authenticated = last_sign;
    loop {
        if authenticated.elapsed() >= state.streams.rules.heartbeat {
            if !holds(state, request).await {
                return Ok(());
            }
            authenticated = tokio::time::Instant::now();
        }
        let view = viewer(&request.caller);
        let part = read_feed(state.events.as_ref(), &request.caller, view, &request.types, after, PAGE).await?;
        let more = part.next.is_some();
        for event in part.events {
            let position = FeedPosition { transaction_id: event.transaction_id, id: event.id.0 };
            let id = state.cursors.sign(tenant, &request.bound, &super::events::bytes_of(position));
            let envelope = Envelope::from(event);
            let data = serde_json::to_string(&envelope).unwrap_or_default();
            let frame = format!("id: {id}\nevent: {}\ndata: {data}\n\n", envelope.r#type);
            if !sent(sender, Bytes::from(frame)).await {
                return Ok(());
            }
            last_sign = tokio::time::Instant::now();
        }
        after = Some(part.resume);
        if more {
            continue;
        }
        if last_sign.elapsed() >= state.streams.rules.heartbeat {
            // An id without data moves the client's place past what it may not see.
            let id = state.cursors.sign(tenant, &request.bound, &super::events::bytes_of(part.resume));
            if !sent(sender, Bytes::from(format!(": still here\nid: {id}\n\n"))).await {
                return Ok(());
            }
            last_sign = tokio::time::Instant::now();
        }
        let heard = async { while hints.next().await.is_some_and(|other| other != tenant) {} };
        tokio::select! {
            () = sender.closed() => return Ok(()),
            () = heard => {}
            () = tokio::time::sleep(LOOK.min(state.streams.rules.heartbeat)) => {}
        }
    }
}

/// Whether the credential still says what it said when the stream began: not revoked or expired, of a principal and a tenant
/// that may come in, with the same rights. Whoever has other ones opens another stream.
async fn holds(state: &ApiState, request: &Request) -> bool {
    let then = &request.caller.actor;
    let now = state.authenticator.authenticate(&request.credential).await;
    now.is_ok_and(|now| now.tenant_id == then.tenant_id && now.roles == then.roles && now.scopes == then.scopes)
}

/// Whether the client takes it, within its time.
async fn sent(sender: &mpsc::Sender<Bytes>, frame: Bytes) -> bool {
    matches!(tokio::time::timeout(PATIENCE, sender.send(frame)).await, Ok(Ok(())))
}
