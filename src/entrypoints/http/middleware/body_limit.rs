//! Step 6: how large a body may be, as sent and after decompression, and which encodings are taken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Limited;
use tower::ServiceExt;
use tower_http::decompression::RequestDecompression;

use crate::entrypoints::http::problem::{Problem, ProblemKind};

/// Whether the whole body has arrived: decides who is to blame for a timeout.
#[derive(Debug, Clone)]
pub(super) struct Received(Arc<AtomicBool>);

impl Received {
    pub(super) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Refuses a body that says to be too large, and cuts off one that turns out to be.
pub(super) fn apply(mut request: Request, limit: usize) -> Result<(Request, Received), Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large(limit));
    }
    // The limit of the extractors would be a second, smaller one.
    DefaultBodyLimit::disable().apply(&mut request);
    let received = Received(Arc::new(AtomicBool::new(request.body().is_end_stream())));
    if received.is_complete() {
        return Ok((request, received));
    }
    let flag = received.0.clone();
    let request = request.map(|inner| Body::new(Limited::new(Watched { inner, complete: flag }, limit)));
    Ok((request, received))
}

/// Runs the rest; a gzip body is unpacked on the way, within the same limit.
pub(super) async fn run(request: Request, limit: usize, next: Next) -> Response {
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let mut response = match encoding {
        None | Some(b"identity") => next.run(request).await,
        // On the heap: every request would carry the room for it.
        Some(b"gzip") => Box::pin(unpack(request, limit, next)).await,
        Some(_) => Problem::new(ProblemKind::UnsupportedMediaType, "Content-Encoding may be gzip or identity.")
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))
            .into_response(),
    };
    if response.status() == ProblemKind::PayloadTooLarge.status() && response.extensions().get::<Problem>().is_none() {
        response = too_large(limit).into_response();
    }
    response
}

async fn unpack(request: Request, limit: usize, next: Next) -> Response {
    let inner = tower::service_fn(move |request: http::Request<_>| {
        let request = request.map(|unpacked| Body::new(Limited::new(unpacked, limit)));
        let answer = next.clone().run(request);
        async move { Ok::<_, std::convert::Infallible>(answer.await) }
    });
    match RequestDecompression::new(inner).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(_) => Problem::new(ProblemKind::MalformedRequest, "The body is not valid gzip.").into_response(),
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("The body may have {limit} bytes, before and after decompression.");
    Problem::new(ProblemKind::PayloadTooLarge, detail)
}

/// A body that remembers when it has arrived completely.
struct Watched {
    inner: Body,
    complete: Arc<AtomicBool>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) || self.inner.is_end_stream() {
            self.complete.store(true, Ordering::Release);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
