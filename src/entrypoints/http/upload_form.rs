//! Forms with files (`multipart/form-data`), read with bounded memory.
//!
//! The parser keeps everything up to the end of a part's head in one buffer and looks through it again with each piece that
//! comes; it also takes in whatever is there before it looks. So it is given one piece at a time, and no more than
//! [`HEAD_MAX`] while it looks for a head: a head that never ends would cost as much memory as an upload may have bytes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::{BoxError, Error};
use futures::ready;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::problem::{Problem, ProblemKind};

/// The most that is read for the head of one part and what stands before it, in bytes; the piece that crosses it counts whole.
const HEAD_MAX: usize = 16 * 1024;

/// A form being read.
pub(super) struct UploadForm {
    parts: Multipart,
    gauge: Arc<Gauge>,
}

impl UploadForm {
    /// The form in a request; `wanted` tells a client that sent something else what to send.
    pub(super) async fn from_request(request: Request, wanted: &'static str) -> Result<Self, Problem> {
        let gauge = Arc::new(Gauge::default());
        let request = request.map(|body| Body::new(Paced { body, gauge: gauge.clone(), pause: false }));
        let parts = Multipart::from_request(request, &()).await;
        let parts = parts.map_err(|_| Problem::new(ProblemKind::UnsupportedMediaType, wanted))?;
        Ok(Self { parts, gauge })
    }

    /// The next part, once its head has arrived; none after the last.
    pub(super) async fn next_part(&mut self) -> Result<Option<Field<'_>>, Problem> {
        self.gauge.begin_head();
        let found = self.parts.next_field().await;
        self.gauge.end_head();
        found.map_err(|error| {
            if self.gauge.overflowed.load(Ordering::Relaxed) {
                let detail = format!("the form has no part whose head ends within {HEAD_MAX} bytes");
                return Problem::new(ProblemKind::MalformedRequest, detail);
            }
            broken(&error)
        })
    }
}

/// A form that could not be read to its end: too large for the server, or malformed.
pub(super) fn broken(error: &MultipartError) -> Problem {
    if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(ProblemKind::PayloadTooLarge, "the upload is larger than this server accepts");
    }
    Problem::new(ProblemKind::MalformedRequest, "the form ended early or is not valid multipart/form-data (RFC 7578)")
}

/// What a form and its body know of each other. Both are polled by one task, so no order is needed.
#[derive(Default)]
struct Gauge {
    in_head: AtomicBool,
    taken: AtomicUsize,
    overflowed: AtomicBool,
}

impl Gauge {
    fn begin_head(&self) {
        self.taken.store(0, Ordering::Relaxed);
        self.in_head.store(true, Ordering::Relaxed);
    }

    fn end_head(&self) {
        self.in_head.store(false, Ordering::Relaxed);
    }

    fn is_full(&self) -> bool {
        self.in_head.load(Ordering::Relaxed) && self.taken.load(Ordering::Relaxed) >= HEAD_MAX
    }
}

/// A body that gives one piece, then lets its reader look at it before it gives the next.
struct Paced {
    body: Body,
    gauge: Arc<Gauge>,
    pause: bool,
}

impl HttpBody for Paced {
    type Data = Bytes;
    // As the body has it: what is wrapped once more is no longer told from a body that is too large.
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.gauge.is_full() {
            self.gauge.overflowed.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err("the head of a part is too long".into())));
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &polled {
            self.pause = true;
            self.gauge.taken.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::Relaxed);
        }
        Poll::Ready(polled.map(|frame| frame.map_err(Error::into_inner)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt, stream};

    use super::*;

    /// A form that comes as `pieces`, and how many of them were taken.
    async fn form(pieces: Vec<Vec<u8>>) -> (UploadForm, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = taken.clone();
        let pieces = stream::iter(pieces).map(move |piece| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(Bytes::from(piece))
        });
        let request = http::Request::post("/").header("content-type", "multipart/form-data; boundary=b");
        let request = request.body(Body::from_stream(pieces)).unwrap();
        (UploadForm::from_request(request, "send a form").await.unwrap(), taken)
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_refused_long_before_the_upload_is_full() {
        let endless = || std::iter::repeat_n(vec![b'x'; 1024], 10_000);
        let beginnings = ["", "--b\r\n", "--b\r\nContent-Disposition: form-data; name=\"", "--b  \t"];
        for beginning in beginnings {
            let pieces = std::iter::once(beginning.into()).chain(endless()).collect();
            let (mut form, taken) = form(pieces).await;
            let problem = form.next_part().await.err().unwrap();
            assert_eq!(problem.kind, ProblemKind::MalformedRequest, "{beginning:?}");
            assert!(taken.load(Ordering::Relaxed) < 20, "{beginning:?}: {taken:?} KiB were taken");
        }
    }

    #[tokio::test]
    async fn a_part_is_read_piece_by_piece_however_large_it_is() {
        let head = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n".to_vec();
        let content = std::iter::repeat_n(vec![b'x'; 64 * 1024], 16);
        let end = b"\r\n--b\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nz\r\n--b--\r\n".to_vec();
        // The head comes byte by byte, the rest at once.
        let head = head.into_iter().map(|byte| vec![byte]);
        let (mut form, _) = form(head.chain(content).chain([end]).collect()).await;
        let mut part = form.next_part().await.ok().flatten().unwrap();
        let (mut size, mut largest) = (0, 0);
        while let Some(chunk) = part.chunk().await.unwrap() {
            size += chunk.len();
            largest = largest.max(chunk.len());
        }
        assert_eq!(size, 16 * 64 * 1024);
        assert!(largest < 256 * 1024, "{largest} bytes were held at once");
        drop(part);
        let part = form.next_part().await.ok().flatten().unwrap();
        assert_eq!((part.name(), part.file_name()), (Some("description"), None));
        assert_eq!(part.text().await.unwrap(), "z");
        assert!(form.next_part().await.ok().flatten().is_none());
    }
}
