//! The front door, as a tenant's people use it: bring documents, search, ask, with and without streaming.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// The events of a streamed answer.
const EVENTS: [&str; 5] = ["retrieved", "model", "token", "answer", "problem"];

/// One service, seen from outside.
#[derive(Clone)]
pub struct Door {
    http: reqwest::Client,
    url: String,
}

/// What came back for a question: the answer, and every byte that was sent.
pub struct Told {
    pub answer: Value,
    pub raw: String,
}

impl Door {
    /// The service at `url`.
    pub fn new(url: &str) -> Self {
        Self { http: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(), url: url.to_owned() }
    }

    /// Uploads a file; its id, or what was wrong.
    pub async fn bring(&self, key: &str, name: &str, labels: &[(&str, &str)], content: &str) -> Result<Uuid, String> {
        let part =
            |head: &str, text: &str| format!("--the-end\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n");
        let labels = labels.iter().map(|(label, value)| part(&format!("name=\"{label}\""), value));
        let file = part(&format!("name=\"file\"; filename=\"{name}\""), content);
        let body: String = labels.chain([file, "--the-end--\r\n".to_owned()]).collect();
        let request = self.http.post(format!("{}/v1/documents", self.url)).bearer_auth(key).body(body);
        let request = request.header("content-type", "multipart/form-data; boundary=the-end");
        let answer = request.header("idempotency-key", Uuid::new_v4().to_string()).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        let id = serde_json::from_str::<Value>(&text).ok().and_then(|body| body["id"].as_str()?.parse().ok());
        id.filter(|_| status == 201).ok_or_else(|| format!("{name} was answered {status}: {text}"))
    }

    /// What a search finds, so many passages at most.
    pub async fn search(&self, key: &str, query: &str, fusion: &str, limit: usize) -> Vec<Value> {
        let body = json!({"query": query, "limit": limit, "fusion": fusion});
        let request = self.http.post(format!("{}/v1/search", self.url)).bearer_auth(key).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["hits"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }

    /// Asks; every other way of asking streams.
    pub async fn ask(&self, key: &str, question: &str, streaming: bool) -> Result<Told, String> {
        let request = self.http.post(format!("{}/v1/answers", self.url)).bearer_auth(key);
        let request =
            request.header("idempotency-key", Uuid::new_v4().to_string()).json(&json!({"question": question}));
        let request = if streaming { request.header("accept", "text/event-stream") } else { request };
        let answer = request.send().await.unwrap();
        let (status, raw) = (answer.status(), answer.text().await.unwrap());
        if !status.is_success() {
            return Err(format!("{question:?} was answered {status}: {raw}"));
        }
        let answer = if streaming { last_event(&raw)? } else { serde_json::from_str(&raw).map_err(|_| raw.clone())? };
        Ok(Told { answer, raw })
    }

    /// The status of a kept answer.
    pub async fn read_again(&self, key: &str, id: &str) -> u16 {
        let request = self.http.get(format!("{}/v1/answers/{id}", self.url)).bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    }
}

/// The answer at the end of a stream whose every event is one of those that the service sends, with one line of JSON.
fn last_event(raw: &str) -> Result<Value, String> {
    let mut answer = None;
    for event in raw.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
        let parts = event
            .split_once('\n')
            .and_then(|(name, data)| Some((name.strip_prefix("event: ")?, data.strip_prefix("data: ")?)));
        let (name, data) = parts.ok_or_else(|| format!("not an event: {event:?}"))?;
        let data: Value = serde_json::from_str(data).map_err(|error| format!("{error} in the event {event:?}"))?;
        if !EVENTS.contains(&name) || answer.is_some() {
            return Err(format!("an event {name} that the service does not send there"));
        }
        if matches!(name, "answer" | "problem") {
            answer = Some(data);
        }
    }
    answer.filter(|answer| answer.get("verdict").is_some()).ok_or_else(|| format!("a stream without an answer: {raw}"))
}
