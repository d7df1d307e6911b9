//! What a connection is doing: waiting for its first head, working, idle between requests, or sending a head slowly, or not
//! taking what it asked for.
//!
//! Whether a client takes its answer is seen in two places. Over HTTP/1.1 by the socket: bytes wait to be written and none can
//! be. Over HTTP/2 each stream has a window of its own, and a client that opens none stops a single answer while the socket is
//! free: there the answer's body gives small pieces, and one that was given is not followed by the wish for the next.

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

/// The largest piece that an answer over HTTP/2 is given in: who takes less than one in the time for it takes nothing.
const PIECE: usize = 16 * 1024;

/// What the watchdog should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    SlowHead,
    SlowReader,
    Idle,
}

/// How long each thing may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The complete head of a request.
    pub(super) head: Duration,
    /// Nothing being asked.
    pub(super) keep_alive: Duration,
    /// Nothing being taken of what waits to be written.
    pub(super) write: Duration,
}

/// The state of one connection, shared by its stream, its requests and its watchdog.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    times: Times,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    idle_since: Instant,
    /// When the first byte of the head under way arrived; for the first head, when the connection was accepted.
    head_since: Option<Instant>,
    /// HTTP/2 sends control frames while idle, so bytes do not mean that a head has begun.
    is_http2: bool,
    /// Since when bytes wait and the socket takes none.
    blocked_since: Option<Instant>,
    /// Answers over HTTP/2 whose last piece was given, and when.
    given: Vec<(u64, Instant)>,
    /// How many requests there have been: the next one's number.
    begun: u64,
}

impl Activity {
    pub(super) fn new(times: Times) -> Self {
        let now = Instant::now();
        let state = State {
            in_flight: 0,
            idle_since: now,
            head_since: Some(now),
            is_http2: false,
            blocked_since: None,
            given: Vec::new(),
            begun: 0,
        };
        Self { state: Mutex::new(state), times }
    }

    /// A complete head has arrived; the request is in flight until the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        let mut state = self.state.lock();
        state.in_flight += 1;
        state.head_since = None;
        state.is_http2 = version == Version::HTTP_2;
        state.begun += 1;
        InFlight { activity: self.clone(), number: state.begun, is_http2: state.is_http2 }
    }

    fn received_bytes(&self) {
        let mut state = self.state.lock();
        if state.in_flight == 0 && !state.is_http2 && state.head_since.is_none() {
            state.head_since = Some(Instant::now());
        }
    }

    /// Notes whether the socket took something of what was to be written.
    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        let mut state = self.state.lock();
        match polled {
            Poll::Pending => _ = state.blocked_since.get_or_insert_with(Instant::now),
            Poll::Ready(_) => state.blocked_since = None,
        }
    }

    /// When to look again: at the deadline of what it is doing now, or when a head that begins now would be late.
    pub(super) fn next_look(&self) -> Instant {
        let state = self.state.lock();
        let soon = Instant::now() + self.times.head;
        match (state.in_flight, state.head_since) {
            (0, Some(since)) => since + self.times.head,
            (0, None) => soon.min(state.idle_since + self.times.keep_alive),
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
        let stuck = |since: Instant| since.elapsed() >= self.times.write;
        if state.blocked_since.is_some_and(stuck) || state.given.iter().any(|(_, since)| stuck(*since)) {
            return Verdict::SlowReader;
        }
        match (state.in_flight, state.head_since) {
            (0, Some(since)) if since.elapsed() >= self.times.head => Verdict::SlowHead,
            (0, None) if state.idle_since.elapsed() >= self.times.keep_alive => Verdict::Idle,
            _ => Verdict::Fine,
        }
    }
}

/// Keeps a request counted as in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    number: u64,
    is_http2: bool,
}

impl InFlight {
    /// Over HTTP/2, notes that the client was given a piece, or that it has taken all there is so far.
    fn note(&self, given: bool) {
        if !self.is_http2 {
            return;
        }
        let mut state = self.activity.state.lock();
        let at = state.given.iter().position(|(number, _)| *number == self.number);
        match (at, given) {
            (Some(at), true) => state.given[at].1 = Instant::now(),
            (Some(at), false) => _ = state.given.swap_remove(at),
            (None, true) => state.given.push((self.number, Instant::now())),
            (None, false) => {}
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.note(false);
        let mut state = self.activity.state.lock();
        state.in_flight -= 1;
        state.idle_since = Instant::now();
    }
}

/// An answer's body that ends the request when it is dropped.
pub(super) struct Guarded {
    body: Body,
    /// What is left of a piece that is given in smaller ones.
    rest: Bytes,
    in_flight: InFlight,
}

impl Guarded {
    pub(super) fn new(body: Body, in_flight: InFlight) -> Self {
        // A client whose window is closed from the beginning never wishes for the first piece.
        in_flight.note(!body.is_end_stream());
        Self { body, rest: Bytes::new(), in_flight }
    }

    fn cut(&mut self, mut bytes: Bytes) -> Frame<Bytes> {
        self.rest = bytes.split_off(PIECE.min(bytes.len()));
        Frame::data(bytes)
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = if self.rest.is_empty() {
            Pin::new(&mut self.body).poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
        };
        self.in_flight.note(matches!(polled, Poll::Ready(Some(_))));
        match polled {
            Poll::Ready(Some(Ok(frame))) if self.in_flight.is_http2 => {
                Poll::Ready(Some(Ok(frame.into_data().map_or_else(|frame| frame, |bytes| self.cut(bytes)))))
            }
            other => other,
        }
    }
    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let (hint, mut whole) = (self.body.size_hint(), SizeHint::new());
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

/// A stream that reports received bytes and whether those to send are taken.
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
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.activity.wrote(&polled);
        polled
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.activity.wrote(&polled);
        polled
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
