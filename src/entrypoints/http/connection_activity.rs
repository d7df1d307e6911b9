//! What a connection is doing: waiting for its first head, working, idle between requests, or sending a head slowly.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Version;
use http_body::{Body as HttpBody, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What the watchdog should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    SlowHead,
    Idle,
}

/// The state of one connection, shared by its stream, its requests and its watchdog.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    head_timeout: Duration,
    keep_alive_timeout: Duration,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    idle_since: Instant,
    /// When the first byte of the head under way arrived; for the first head, when the connection was accepted.
    head_since: Option<Instant>,
    /// HTTP/2 sends control frames while idle, so bytes do not mean that a head has begun.
    is_http2: bool,
}

impl Activity {
    pub(super) fn new(head_timeout: Duration, keep_alive_timeout: Duration) -> Self {
        let now = Instant::now();
        let state = State { in_flight: 0, idle_since: now, head_since: Some(now), is_http2: false };
        Self { state: Mutex::new(state), head_timeout, keep_alive_timeout }
    }

    /// A complete head has arrived; the request is in flight until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        let mut state = self.state.lock();
        state.in_flight += 1;
        state.head_since = None;
        state.is_http2 = version == Version::HTTP_2;
        InFlight(self.clone())
    }

    fn received_bytes(&self) {
        let mut state = self.state.lock();
        if state.in_flight == 0 && !state.is_http2 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// When to look again: at the deadline of what it is doing now, or when a head that begins now would be late.
    pub(super) fn next_look(&self) -> Instant {
        let state = self.state.lock();
        let soon = Instant::now() + self.head_timeout;
        match (state.in_flight, state.head_since) {
            (0, Some(since)) => since + self.head_timeout,
            (0, None) => soon.min(state.idle_since + self.keep_alive_timeout),
            _ => soon,
        }
    }

    /// Whether no request is in flight.
    pub(super) fn is_at_rest(&self) -> bool {
        self.state.lock().in_flight == 0
    }

    /// Whether its time is over.
    pub(super) fn look(&self) -> Verdict {
        let state = self.state.lock();
        match (state.in_flight, state.head_since) {
            (0, Some(since)) if since.elapsed() >= self.head_timeout => Verdict::SlowHead,
            (0, None) if state.idle_since.elapsed() >= self.keep_alive_timeout => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

/// Keeps a request counted as in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.in_flight -= 1;
        state.idle_since = Instant::now();
    }
}

/// An answer's body that ends the request when it is dropped.
pub(super) struct Guarded {
    body: Body,
    _in_flight: InFlight,
}

impl Guarded {
    pub(super) fn new(body: Body, in_flight: InFlight) -> Self {
        Self { body, _in_flight: in_flight }
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that reports received bytes.
#[derive(Debug)]
pub(super) struct WatchedStream<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> WatchedStream<S> {
    pub(super) fn new(inner: S, activity: Arc<Activity>) -> Self {
        Self { inner, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.received_bytes();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
