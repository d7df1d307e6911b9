//! Answers as server-sent events: each step as it happens, the checked answer last.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::answers::rendered;
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::knowledge::answer::AnswerEvent;

/// Between two signs of life while a model thinks, so that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Streams an answer that is being made. When the client goes, the body is dropped and with it the receiver: the answer ends.
pub fn live(state: ApiState, events: mpsc::Receiver<Result<AnswerEvent, UseCaseError>>) -> Response {
    let frames = stream::unfold(Some((state, events)), |held| async move {
        let (state, mut events) = held?;
        match tokio::time::timeout(HEARTBEAT, events.recv()).await {
            Err(_) => Some((Bytes::from_static(b": still here\n\n"), Some((state, events)))),
            Ok(None) => None,
            Ok(Some(Ok(event))) => {
                let last = matches!(event, AnswerEvent::Done(_));
                Some((frame_of(&event), (!last).then_some((state, events))))
            }
            // What was sent cannot be taken back: the problem comes as the last event, in the same words as a status would.
            Ok(Some(Err(error))) => {
                let problem = Problem::from(error).to_json(&state.public_url, "");
                Some((frame("problem", &problem.to_string()), None))
            }
        }
    });
    response(Body::from_stream(futures::StreamExt::map(frames, Ok::<_, Infallible>)))
}

/// The stream of an answer that was given before.
pub fn replayed(body: &str) -> Response {
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let token = frame("token", &json!({"text": answer["answer"]}).to_string());
    let mut response = response(Body::from([token, frame("answer", body)].concat()));
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

fn response(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies such as nginx hold streams back unless they are told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

fn frame_of(event: &AnswerEvent) -> Bytes {
    match event {
        AnswerEvent::Retrieved { passages, took_ms } => {
            frame("retrieved", &json!({"passages": passages, "took_ms": took_ms}).to_string())
        }
        AnswerEvent::Model(model) => frame("model", &json!(model).to_string()),
        AnswerEvent::Token(text) => frame("token", &json!({"text": text}).to_string()),
        AnswerEvent::Done(answer) => frame("answer", &rendered(answer)),
    }
}

/// JSON never holds a raw line break, so one `data` line is enough.
fn frame(name: &str, data: &str) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}
