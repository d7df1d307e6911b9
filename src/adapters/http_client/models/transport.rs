//! Sends a request to a provider and reads the stream of events that comes back, within bounds of time and size.

use std::collections::VecDeque;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::endpoint::{Endpoint, EndpointError, Timeouts, address};
use super::faults;
use super::sse::{SseEvent, SseParser};
use crate::application::ports::language_model::ModelError;

/// What is read of the body of a refusal, in bytes.
const REFUSAL_MAX: usize = 16 * 1024;
/// How long reading it may take.
const REFUSAL_TIME: Duration = Duration::from_secs(2);
/// How long the rest of a finished stream is waited for, so that its connection can be used again.
const DRAIN_TIME: Duration = Duration::from_millis(500);
/// What is read of that rest, in bytes.
const DRAIN_MAX: usize = 64 * 1024;

/// The client of one provider.
#[derive(Clone)]
pub(super) struct Transport {
    client: Client,
    url: Url,
    headers: HeaderMap,
    key: Option<SecretString>,
    timeouts: Timeouts,
}

impl Transport {
    /// A client that posts to `operation` below the endpoint's base address. `credential` is the header that carries the key
    /// and what stands before it.
    pub(super) fn new(
        endpoint: &Endpoint,
        operation: &str,
        credential: (HeaderName, &str),
        further: &[(HeaderName, &'static str)],
    ) -> Result<Self, EndpointError> {
        let url = address(&endpoint.base_url, operation)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("docket/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in further {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(key) = &endpoint.api_key {
            let (name, prefix) = credential;
            let value = HeaderValue::try_from(format!("{prefix}{}", key.expose_secret()));
            let mut value = value.map_err(|_| EndpointError::Key)?;
            // Keeps it out of debug output and out of the compression tables of HTTP/2.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(endpoint.timeouts.connect)
            .pool_idle_timeout(Duration::from_mins(1))
            .tcp_nodelay(true);
        if url.scheme() == "http" {
            // A proxy would read the key and the question.
            client = client.no_proxy();
        }
        let (client, timeouts, key) = (client.build()?, endpoint.timeouts, endpoint.api_key.clone());
        Ok(Self { client, url, headers, key, timeouts })
    }

    /// Posts `body` and returns once the head of an answer with events is there.
    pub(super) async fn open(&self, body: &Value) -> Result<EventReader, ModelError> {
        let began = Instant::now();
        let total_by = began + self.timeouts.total;
        let first_by = (began + self.timeouts.first_token).min(total_by);
        let sent = self.client.post(self.url.clone()).headers(self.headers.clone()).body(body.to_string()).send();
        let response = match timeout_at(first_by, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(faults::by_connection(&error)),
            Err(_) => return Err(ModelError::TimedOut("no first token")),
        };
        let reader = EventReader {
            response,
            parser: SseParser::new(),
            ready: VecDeque::new(),
            first_by: Some(first_by),
            total_by,
            idle: self.timeouts.idle,
        };
        reader.accepted(self.key()).await
    }

    /// The key, to be struck out of whatever the provider says.
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_ref().map(ExposeSecret::expose_secret)
    }
}

/// The events of one answer. Dropping it closes the connection, which cancels the request.
pub(super) struct EventReader {
    response: Response,
    parser: SseParser,
    ready: VecDeque<SseEvent>,
    /// Until when the first token must be there; none once it is.
    first_by: Option<Instant>,
    total_by: Instant,
    idle: Duration,
}

impl EventReader {
    /// Itself, if the provider accepted the request and answers with events.
    async fn accepted(mut self, key: Option<&str>) -> Result<Self, ModelError> {
        let (status, headers) = (self.response.status(), self.response.headers().clone());
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Some servers name no type at all.
        let events = kind.is_empty() || kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
        if status == StatusCode::OK && events {
            return Ok(self);
        }
        let body = self.rest(REFUSAL_MAX, REFUSAL_TIME).await;
        if status != StatusCode::OK {
            return Err(faults::by_status(status, &headers, &body, key));
        }
        let said: Option<Value> = serde_json::from_slice(&body).ok();
        Err(match said.as_ref().and_then(|said| said.get("error")).filter(|error| !error.is_null()) {
            Some(error) => faults::by_object(error, key),
            None => ModelError::Malformed("it does not answer with an event stream".to_owned()),
        })
    }

    /// The next event; none when the stream ended by itself.
    pub(super) async fn next(&mut self) -> Result<Option<SseEvent>, ModelError> {
        // Counted from here: a client that reads slowly is no silence of the provider. Comments do not count as events.
        let (until, late) = match self.first_by {
            Some(first_by) => (first_by, "no first token"),
            None => (Instant::now() + self.idle, "the provider's answer stopped"),
        };
        let (until, late) = if self.total_by <= until { (self.total_by, "not finished") } else { (until, late) };
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self
                    .parser
                    .feed(&bytes, &mut self.ready)
                    .map_err(|error| ModelError::Malformed(error.to_string()))?,
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(faults::by_connection(&error)),
                Err(_) => return Err(ModelError::TimedOut(late)),
            }
        }
    }

    /// The first token is there: from now on only silence between events and the whole are bounded.
    pub(super) fn began(&mut self) {
        self.first_by = None;
    }

    /// Waits for further events no longer than this.
    pub(super) fn hurry(&mut self, idle: Duration) {
        self.idle = self.idle.min(idle);
    }

    /// Reads what is left of a finished answer in the background, so that the connection is kept and not closed.
    pub(super) fn finish(mut self) {
        tokio::spawn(async move { self.rest(DRAIN_MAX, DRAIN_TIME).await });
    }

    async fn rest(&mut self, most: usize, time: Duration) -> Vec<u8> {
        let mut read = Vec::new();
        let until = (Instant::now() + time).min(self.total_by.max(Instant::now()));
        while read.len() < most {
            match timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => read.extend_from_slice(&bytes[..bytes.len().min(most - read.len())]),
                _ => break,
            }
        }
        read
    }
}
