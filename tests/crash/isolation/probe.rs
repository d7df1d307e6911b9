//! One request of the probes, how it is sent, and what of its answer must not depend on whose id was named.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::Value;

/// Headers of an answer that a client could learn something from.
const TELLING: [&str; 7] =
    ["content-type", "etag", "location", "retry-after", "idempotent-replayed", "content-disposition", "content-range"];
/// Members that differ between two sends of the same request.
const OF_THE_MOMENT: [&str; 3] = ["instance", "last_used_at", "request_id"];

/// One request.
#[derive(Debug, Clone)]
pub struct Probe {
    pub method: Method,
    pub path: String,
    pub headers: BTreeMap<&'static str, String>,
    pub body: Option<Value>,
    /// The text of a file to upload.
    pub upload: Option<String>,
    /// What was named in it and is the other tenant's, or nobody's.
    pub named: Vec<String>,
}

impl Probe {
    /// A request without body and headers.
    pub fn new(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: BTreeMap::new(), body: None, upload: None, named: Vec::new() }
    }

    /// Sets a header.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, value.to_owned());
    }

    /// The same request with this named instead of that, wherever it stands.
    pub fn naming(&self, from: &str, to: &str) -> Self {
        let replaced = |text: &String| text.replace(from, to);
        Self {
            method: self.method.clone(),
            path: replaced(&self.path),
            headers: self.headers.iter().map(|(name, value)| (*name, replaced(value))).collect(),
            body: self.body.as_ref().map(|body| serde_json::from_str(&body.to_string().replace(from, to)).unwrap()),
            upload: self.upload.clone(),
            named: self.named.iter().map(replaced).chain([to.to_owned()]).collect(),
        }
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Sent {
    pub status: u16,
    pub headers: BTreeMap<&'static str, String>,
    pub text: String,
}

impl Sent {
    /// A header of the answer, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// All of the answer that does not name what was sent; of a success with a write, that it was one.
    pub fn blurred(&self, probe: &Probe) -> (u16, BTreeMap<&'static str, String>, String) {
        if self.status < 400 && probe.method != Method::GET {
            return (self.status, BTreeMap::new(), String::new());
        }
        let blur = |text: &str| probe.named.iter().fold(text.to_owned(), |text, named| text.replace(named, "NAMED"));
        let headers = self.headers.iter().map(|(name, value)| (*name, blur(value))).collect();
        let mut body: Value = serde_json::from_str(&self.text).unwrap_or_else(|_| self.text.clone().into());
        without_the_moment(&mut body);
        (self.status, headers, blur(&body.to_string()))
    }
}

fn without_the_moment(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !OF_THE_MOMENT.contains(&name.as_str()));
            members.values_mut().for_each(without_the_moment);
        }
        Value::Array(items) => items.iter_mut().for_each(without_the_moment),
        _ => {}
    }
}

/// Sends probes.
pub struct Sender {
    http: reqwest::Client,
    url: String,
}

impl Sender {
    /// A sender to the service at `url`.
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().tcp_nodelay(true).timeout(Duration::from_secs(20)).build().unwrap();
        Self { http, url: url.to_owned() }
    }

    /// Sends a probe with a credential.
    pub async fn send(&self, probe: &Probe, credential: &str) -> Sent {
        let mut request = self.http.request(probe.method.clone(), format!("{}{}", self.url, probe.path));
        request = request.bearer_auth(credential);
        for (name, value) in &probe.headers {
            request = request.header(*name, value);
        }
        if let Some(text) = &probe.upload {
            let part = "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain";
            request = request.header("content-type", "multipart/form-data; boundary=probe");
            request = request.body(format!("--probe\r\n{part}\r\n\r\n{text}\r\n--probe--\r\n"));
        } else if let Some(body) = &probe.body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let header = |name: &&'static str| {
            let value = response.headers().get(*name)?.to_str().ok()?;
            Some((*name, value.to_owned()))
        };
        let headers = TELLING.iter().filter_map(header).collect();
        let status = response.status().as_u16();
        Sent { status, headers, text: response.text().await.unwrap() }
    }
}
