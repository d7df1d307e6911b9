//! The ledger: what the clients were told, kept on their side of the wire.

use std::sync::Mutex;

use docket_domain::idempotency::IdempotencyKey;
use uuid::Uuid;

use super::client::{Answer, Request};

/// One operation that got a final answer.
#[derive(Debug, Clone)]
pub struct Entry {
    pub principal_id: Uuid,
    pub request: Request,
    pub answer: Answer,
    /// The text of the note, question or answer that the operation added.
    pub note: Option<String>,
}

impl Entry {
    /// Whether the service said that the operation was carried out.
    pub fn is_acknowledged(&self) -> bool {
        (200..300).contains(&self.answer.status)
    }

    /// The hash under which the audit trail keeps the key.
    pub fn key_hash(&self) -> String {
        IdempotencyKey::parse(self.request.key.as_deref().unwrap_or_default().as_bytes()).unwrap().hash()
    }

    /// Case and version in the answer.
    pub fn case_and_version(&self) -> (Uuid, i64) {
        let body = self.answer.json();
        let id = body["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        (id, body["version"].as_i64().unwrap_or_default())
    }
}

/// All operations with a final answer.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    /// Adds an operation.
    pub fn add(&self, entry: Entry) {
        self.0.lock().unwrap().push(entry);
    }

    /// A copy of what stands in it.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap().clone()
    }

    /// How many operations were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().iter().filter(|entry| entry.is_acknowledged()).count()
    }
}
