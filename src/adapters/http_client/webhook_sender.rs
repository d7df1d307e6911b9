//! Posts webhook messages with a client of its own: guarded addresses, no redirects, no proxy, bounds on time and size.

use std::error::Error as _;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use url::{Host, Url};

use super::guarded_resolver::{Allowed, Forbidden, GuardedResolver, Lookup};
use super::retry_after::retry_after;
use crate::application::ports::webhook_sender::{Message, Receipt, WebhookSender};
use crate::faults::Fault;

/// What is read of an answer at most, in bytes.
const READ_MAX: usize = 4 * 1024;
/// What is kept of it, in characters.
const EXCERPT_MAX: usize = 1_000;
/// How long reading it may take: the status alone decides, so a body that drips is not waited for.
const READ_TIME: Duration = Duration::from_millis(500);

/// How messages are sent.
#[derive(Clone)]
pub struct SenderSettings {
    /// Time for the connection with its TLS handshake.
    pub connect_timeout: Duration,
    /// Time until the head of the answer, all included.
    pub timeout: Duration,
    /// Whether `http://` is accepted.
    pub allow_http: bool,
    /// Addresses allowed by configuration.
    pub allowed: Allowed,
    /// How names are looked up.
    pub lookup: Lookup,
}

/// [`WebhookSender`] by reqwest.
pub struct HttpWebhookSender {
    pub(super) client: Client,
    resolver: GuardedResolver,
    allow_http: bool,
    timeout: Duration,
}

impl HttpWebhookSender {
    /// A sender; fails only if TLS cannot be set up.
    pub fn new(settings: SenderSettings) -> Result<Self, reqwest::Error> {
        let resolver = GuardedResolver::new(settings.lookup, settings.allowed);
        let follow = Fault::WebhookFollowsRedirects.is_seeded();
        let client = Client::builder()
            .redirect(if follow { Policy::limited(5) } else { Policy::none() })
            .no_proxy()
            .dns_resolver(std::sync::Arc::new(resolver.clone()))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout + READ_TIME)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .tcp_nodelay(true)
            .build()?;
        Ok(Self { client, resolver, allow_http: settings.allow_http, timeout: settings.timeout })
    }

    /// Reads the URL and judges what can be judged without looking the name up. Addresses in the URL never reach the
    /// resolver, so they are judged here, before every send.
    pub(super) fn read(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => return Err("must begin with https:// (webhooks.allow_http is off)".to_owned()),
            other => return Err(format!("must begin with https://, not {other}:")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or password".to_owned());
        }
        if url.fragment().is_some() {
            return Err("must not hold a fragment (#)".to_owned());
        }
        if url.port() == Some(0) {
            return Err("must not name port 0".to_owned());
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let judged = match url.host() {
            Some(Host::Ipv4(address)) => self.resolver.judge(&host, address.into()),
            Some(Host::Ipv6(address)) => self.resolver.judge(&host, address.into()),
            Some(Host::Domain(_)) => Ok(()),
            None => return Err("names no host".to_owned()),
        };
        judged.map_err(|error| error.to_string())?;
        Ok(url)
    }

    async fn post(&self, message: &Message) -> Result<Response, String> {
        let url = self.read(&message.url)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("docket/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &message.headers {
            let value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let sent = self.client.post(url).headers(headers).body(message.body.clone()).send();
        match tokio::time::timeout(self.timeout, sent).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(format!("no answer within {} ms", self.timeout.as_millis())),
        }
    }
}

#[async_trait]
impl WebhookSender for HttpWebhookSender {
    async fn refusal(&self, url: &str) -> Option<String> {
        let url = match self.read(url) {
            Ok(url) => url,
            Err(reason) => return Some(reason),
        };
        let Some(Host::Domain(name)) = url.host() else { return None };
        let looked_up = tokio::time::timeout(Duration::from_secs(5), self.resolver.addresses(name)).await;
        match looked_up {
            Ok(Ok(_)) => None,
            Ok(Err(error @ (Forbidden::Address { .. } | Forbidden::Nowhere(_) | Forbidden::Unresolved { .. }))) => {
                Some(error.to_string())
            }
            Err(_) => Some(format!("{name} could not be resolved within 5 s")),
        }
    }

    async fn send(&self, message: &Message) -> Receipt {
        let began = Instant::now();
        match self.post(message).await {
            Ok(response) => {
                let (status, took) = (response.status().as_u16(), began.elapsed());
                let retry_after = retry_after(response.headers());
                let detail = excerpt(response).await;
                Receipt { status: Some(status), retry_after, detail, took }
            }
            Err(reason) => {
                let detail = Some(reason.chars().take(EXCERPT_MAX).collect());
                Receipt { status: None, retry_after: None, detail, took: began.elapsed() }
            }
        }
    }
}

/// The innermost cause says what happened; reqwest's own words only say where.
pub(super) fn words(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut words = error.to_string();
    while let Some(inner) = cause {
        words = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        return "no connection or no answer in time".to_owned();
    }
    if error.is_connect() && words.to_ascii_lowercase().contains("cert") {
        return format!("the certificate was not accepted: {words}");
    }
    words
}

/// The beginning of the body, as text without control characters; reading stops early and the connection goes.
async fn excerpt(mut response: Response) -> Option<String> {
    let mut read = Vec::new();
    let reading = async {
        while read.len() < READ_MAX {
            match response.chunk().await {
                Ok(Some(chunk)) => read.extend_from_slice(&chunk[..chunk.len().min(READ_MAX - read.len())]),
                Ok(None) | Err(_) => return,
            }
        }
    };
    let _ = tokio::time::timeout(READ_TIME, reading).await;
    let text = String::from_utf8_lossy(&read);
    let clean: String = text.chars().filter(|c| !c.is_control() || *c == '\n').take(EXCERPT_MAX).collect();
    (!clean.is_empty()).then_some(clean)
}
