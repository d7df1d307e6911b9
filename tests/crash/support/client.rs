//! A client as the documentation asks for: one key for each operation, retried until there is a final answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use super::report::Findings;

/// How long an operation may go without a final answer before that is a finding.
const PATIENCE: Duration = Duration::from_mins(1);

/// One request, ready to be sent any number of times.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub api_key: String,
    pub key: Option<String>,
    pub if_match: Option<String>,
    pub body: Option<Value>,
}

impl Request {
    /// A read.
    pub fn get(api_key: &str, path: &str) -> Self {
        let (path, api_key) = (path.to_owned(), api_key.to_owned());
        Self { method: Method::GET, path, api_key, key: None, if_match: None, body: None }
    }

    /// A new case, under this key.
    pub fn create(api_key: &str, key: &str, body: Value) -> Self {
        let (path, api_key, key) = ("/v1/cases".to_owned(), api_key.to_owned(), Some(key.to_owned()));
        Self { method: Method::POST, path, api_key, key, if_match: None, body: Some(body) }
    }
}

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub etag: String,
    pub location: String,
    pub content_type: String,
    pub retry_after: String,
    pub replayed: bool,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The last segment of the problem's type.
    pub fn slug(&self) -> String {
        let body = self.json();
        body["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned()
    }
}

/// How the requests of a battery went.
#[derive(Debug, Default)]
pub struct Tally {
    pub sent: AtomicU64,
    pub unavailable: AtomicU64,
    pub cut: AtomicU64,
    pub in_flight: AtomicU64,
    pub replayed: AtomicU64,
}

impl Tally {
    /// The counts in words.
    pub fn words(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "{} sent, {} answered 503, {} cut, {} told \"in flight\", {} replayed",
            count(&self.sent),
            count(&self.unavailable),
            count(&self.cut),
            count(&self.in_flight),
            count(&self.replayed)
        )
    }
}

/// Sends requests and notes answers that break a promise.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    pub findings: Findings,
    pub tally: Arc<Tally>,
}

impl Client {
    /// A client of the service at `url`.
    pub fn new(url: &str, findings: &Findings) -> Self {
        let http = reqwest::Client::builder().tcp_nodelay(true).timeout(Duration::from_secs(20)).build().unwrap();
        Self { http, url: url.to_owned(), findings: findings.clone(), tally: Arc::default() }
    }

    /// Sends once; none when the connection failed or was cut.
    pub async fn send(&self, request: &Request) -> Option<Answer> {
        let mut builder = self.http.request(request.method.clone(), format!("{}{}", self.url, request.path));
        builder = builder.bearer_auth(&request.api_key);
        if let Some(key) = &request.key {
            builder = builder.header("idempotency-key", key);
        }
        if let Some(tag) = &request.if_match {
            builder = builder.header("if-match", tag);
        }
        if let Some(body) = &request.body {
            builder = builder.json(body);
        }
        self.tally.sent.fetch_add(1, Ordering::Relaxed);
        let response = builder.send().await.ok()?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (etag, location, content_type) = (header("etag"), header("location"), header("content-type"));
        let (retry_after, replayed) = (header("retry-after"), header("idempotent-replayed") == "true");
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some(Answer { status, text, etag, location, content_type, retry_after, replayed })
    }

    /// Creates a case, however long it takes; its id.
    pub async fn create(&self, api_key: &str, key: &str, body: Value) -> String {
        let answer = self.deliver(&Request::create(api_key, key, body)).await.unwrap();
        answer.json()["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// Sends the same request until there is a final answer: connection errors, 503 and "in flight" are not final.
    pub async fn deliver(&self, request: &Request) -> Option<Answer> {
        let started = Instant::now();
        let (mut tries, mut last) = (0, None);
        while started.elapsed() < PATIENCE {
            tries += 1;
            let Some(answer) = self.send(request).await else {
                self.tally.cut.fetch_add(1, Ordering::Relaxed);
                last = None;
                tokio::time::sleep(Duration::from_millis(15)).await;
                continue;
            };
            if !self.is_temporary(request, &answer) {
                if answer.replayed {
                    self.tally.replayed.fetch_add(1, Ordering::Relaxed);
                }
                return Some(answer);
            }
            last = Some(answer);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let last = last.map_or_else(|| "cut".to_owned(), |answer| format!("{} {}", answer.status, answer.text));
        let what = format!("{} {} {:?}", request.method, request.path, request.body);
        self.findings.add(format!("no final answer in {PATIENCE:?} and {tries} tries to {what}; the last: {last}"));
        None
    }

    /// Counts an answer that asks to come again, and checks that it asks properly.
    fn is_temporary(&self, request: &Request, answer: &Answer) -> bool {
        let counter = match answer.status {
            503 => &self.tally.unavailable,
            409 if answer.slug() == "idempotency-request-in-flight" => &self.tally.in_flight,
            500..=599 => {
                self.findings.add(format!(
                    "{} {} was answered {}: {}",
                    request.method, request.path, answer.status, answer.text
                ));
                return true;
            }
            _ => return false,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.findings
            .expect(!answer.retry_after.is_empty() && answer.content_type == "application/problem+json", || {
                format!("{} without Retry-After or not a problem: {answer:?}", answer.status)
            });
        true
    }
}
