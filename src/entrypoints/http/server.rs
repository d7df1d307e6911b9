//! The HTTP server: accepts connections, bounds how long each may dawdle, drains them on shutdown.
//!
//! hyper's own timer for request heads does not run before the version of HTTP is known, and it treats an idle
//! connection like a slow one; so each connection has a watchdog of its own (see [`Activity`]).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::connection_activity::{Activity, Guarded, Times, Verdict, WatchedStream};
use super::connection_places::Places;
use crate::config;
use crate::telemetry::metrics::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_CLOSED};

/// What hyper takes for one head; a little more than the middleware allows, so that most refusals are problems.
const HEAD_BUFFER: usize = 64 * 1024;
/// Streams of one HTTP/2 connection at once.
const STREAMS: u32 = 256;
/// How long a connection that was told to close may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long a connection on which nothing was asked yet may still ask after shutdown began or before its place is given to
/// somebody else: its client has been let in, and a request that is on its way must not be cut off.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How the server treats connections.
#[derive(Debug, Clone, Copy)]
pub struct ServerSettings {
    /// Connections at once; more wait in the listen queue and take turns with those that are served.
    pub max_connections: usize,
    /// Time for the complete head of a request, also for the first byte.
    pub head_timeout: Duration,
    /// Time without a request in flight.
    pub keep_alive_timeout: Duration,
    /// Time without anything being taken of what waits to be written.
    pub write_timeout: Duration,
    /// Time for requests in flight after shutdown begins.
    pub shutdown_grace: Duration,
}

impl From<&config::Server> for ServerSettings {
    fn from(server: &config::Server) -> Self {
        Self {
            max_connections: server.max_connections,
            head_timeout: Duration::from_millis(server.header_read_timeout_ms),
            keep_alive_timeout: Duration::from_millis(server.keep_alive_timeout_ms),
            write_timeout: Duration::from_millis(server.write_timeout_ms),
            shutdown_grace: Duration::from_millis(server.shutdown_grace_ms),
        }
    }
}

/// Serves `router` until `shutdown` is cancelled: then stops accepting, lets requests in flight finish within the
/// grace period, closes what is left and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ServerSettings,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Places::new(settings.max_connections));
    let tracker = TaskTracker::new();
    let give_up = CancellationToken::new();
    let begin = |stream, peer, place| {
        let connection = Connection { stream, peer, place, places: places.clone(), router: router.clone(), settings };
        tracker.spawn(connection.run(shutdown.clone(), give_up.clone()));
    };
    let mut at_the_door = None;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: give others time to close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // One waits here for a place, all others in the listen queue of the kernel.
        let place = tokio::select! {
            () = shutdown.cancelled() => {
                at_the_door = Some((stream, peer));
                break;
            }
            place = places.take() => place?,
        };
        begin(stream, peer, place);
    }
    for (stream, peer) in at_the_door.into_iter().chain(queued(listener)) {
        // In a full house the rest is turned away: there is no telling when somebody leaves.
        let Some(place) = places.try_take() else { break };
        begin(stream, peer, place);
    }
    tracker.close();
    if tokio::time::timeout(settings.shutdown_grace, tracker.wait()).await.is_err() {
        tracing::warn!(
            connections = tracker.len(),
            "the grace period is over: closing connections with requests in flight"
        );
        give_up.cancel();
        tracker.wait().await;
    }
    Ok(())
}

/// Who stands in the listen queue has been let in by the kernel already: closing the listener would cut them off. Takes them
/// past tokio, which would have to hear of each from the kernel first; ends, and closes the listener, when nobody is left.
fn queued(listener: TcpListener) -> impl Iterator<Item = (TcpStream, SocketAddr)> {
    let listener =
        listener.into_std().inspect_err(|error| tracing::warn!(%error, "cannot empty the listen queue")).ok();
    std::iter::from_fn(move || {
        let (stream, peer) = listener.as_ref()?.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some((TcpStream::from_std(stream).ok()?, peer))
    })
}

/// One accepted connection.
struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
    places: Arc<Places>,
    router: Router,
    settings: ServerSettings,
}

impl Connection {
    async fn run(self, shutdown: CancellationToken, give_up: CancellationToken) {
        let Self { stream, peer, place, places, router, settings } = self;
        // Without it, Nagle's algorithm holds the end of an answer back until the client's delayed ACK, 40 ms later.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let open = metrics::gauge!(HTTP_CONNECTIONS);
        open.increment(1.0);
        let times = Times {
            head: settings.head_timeout,
            keep_alive: settings.keep_alive_timeout,
            write: settings.write_timeout,
        };
        let activity = Arc::new(Activity::new(times));
        let asked = CancellationToken::new();
        let service = hyper::service::service_fn({
            let (activity, asked) = (activity.clone(), asked.clone());
            move |request: Request<Incoming>| {
                asked.cancel();
                let in_flight = activity.begin(request.version());
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(ConnectInfo(peer));
                let answer = router.clone().oneshot(request);
                // The request is over when its answer has been sent, not when its head is ready.
                async move { answer.await.map(|response| response.map(|body| Guarded::new(body, in_flight))) }
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BUFFER);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(32 * 1024)
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(Duration::from_secs(20));
        let io = TokioIo::new(WatchedStream::new(stream, activity.clone()));
        let mut connection = std::pin::pin!(builder.serve_connection(io, service));
        let mut leave_at: Option<Instant> = None;
        let mut told_to_stop = false;
        let mut patience = std::pin::pin!(async {
            shutdown.cancelled().await;
            let _ = tokio::time::timeout(FIRST_REQUEST, asked.cancelled()).await;
        });
        let mut turn = std::pin::pin!(async {
            let _ = tokio::time::timeout(FIRST_REQUEST, asked.cancelled()).await;
            places.wanted().await;
        });
        let reason = loop {
            let wake = leave_at.unwrap_or_else(|| activity.next_look());
            tokio::select! {
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(%error, %peer, "connection ended with an error");
                    }
                    break None;
                }
                () = give_up.cancelled() => break Some("shutdown"),
                () = &mut patience, if !told_to_stop => {
                    told_to_stop = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = &mut turn, if !told_to_stop => {
                    told_to_stop = true;
                    connection.as_mut().graceful_shutdown();
                    if activity.is_at_rest() {
                        leave_at = Some(Instant::now() + GOODBYE);
                    }
                }
                () = tokio::time::sleep_until(wake) => {
                    if leave_at.take().is_some() && activity.is_at_rest() {
                        break Some("idle");
                    }
                    match activity.look() {
                        Verdict::Fine => {}
                        Verdict::SlowHead => break Some("slow_head"),
                        Verdict::SlowReader => break Some("slow_reader"),
                        Verdict::Idle => {
                            leave_at = Some(Instant::now() + GOODBYE);
                            connection.as_mut().graceful_shutdown();
                        }
                    }
                }
            }
        };
        if let Some(reason) = reason {
            metrics::counter!(HTTP_CONNECTIONS_CLOSED, "reason" => reason).increment(1);
        }
        open.decrement(1.0);
        drop(place);
    }
}
