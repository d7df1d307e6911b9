//! The envelope of an event on its way out: CloudEvents 1.0 in JSON, the same for every way of delivery.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::application::ports::event_feed::StoredEvent;

/// A `CloudEvents` 1.0 event in structured JSON form (<https://github.com/cloudevents/spec>, JSON format), with the
/// extensions Sequence and Distributed Tracing.
#[derive(Debug, Clone, Serialize)]
pub struct Envelope {
    /// Always `1.0`.
    pub specversion: &'static str,
    /// The event's id; with `source` unique for ever.
    pub id: Uuid,
    /// The tenant, as a URN.
    pub source: String,
    /// `docket.` and the type.
    pub r#type: String,
    /// The case.
    pub subject: Uuid,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Always `application/json`.
    pub datacontenttype: &'static str,
    /// The case's version after the change: a case's events in order.
    pub sequence: String,
    /// Always `Integer`.
    pub sequencetype: &'static str,
    /// The trace to continue (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Identifiers, states and version, never prose.
    pub data: Value,
}

impl From<StoredEvent> for Envelope {
    fn from(event: StoredEvent) -> Self {
        Self {
            specversion: "1.0",
            id: event.id.0,
            source: format!("urn:docket:tenant:{}", event.tenant_id),
            r#type: format!("docket.{}", event.event_type),
            subject: event.case_id.0,
            time: event.occurred_at,
            datacontenttype: "application/json",
            sequence: event.sequence.to_string(),
            sequencetype: "Integer",
            traceparent: event.traceparent,
            data: event.data,
        }
    }
}
