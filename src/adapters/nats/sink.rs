//! The sink: publishes each event to the stream and waits for the acknowledgement, in the order of its case.
//!
//! Cases go side by side, the events of one case one after the other: the next is sent when the stream has stored the one
//! before. Sending them all at once would be faster and wrong: after a lost connection a later event could be stored
//! before an earlier one. `Nats-Msg-Id` is the event's id, so the stream drops what it is sent again.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_trait::async_trait;
use docket_domain::ids::CaseId;
use futures::future::join_all;
use tracing::Instrument;

use super::link::{Link, refuses_the_message};
use crate::application::events::envelope::Envelope;
use crate::application::ports::EventSink;
use crate::application::ports::event_feed::StoredEvent;
use crate::application::ports::event_sink::SinkError;
use crate::telemetry::{SpanId, TRACEPARENT, adopt, link_batch};

/// Publishes events to `JetStream`.
pub struct NatsSink {
    link: Arc<Link>,
}

impl NatsSink {
    /// A sink over this link.
    pub fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Publishes the events of one case; the places not taken, from the first that failed on.
    async fn publish_case(&self, context: &Context, events: &[(usize, &StoredEvent)]) -> Vec<(usize, SinkError)> {
        for (number, (_, event)) in events.iter().enumerate() {
            if let Err(error) = self.publish(context, event).await {
                return events[number..].iter().map(|(place, _)| (*place, error.clone())).collect();
            }
        }
        Vec::new()
    }

    async fn publish(&self, context: &Context, event: &StoredEvent) -> Result<(), SinkError> {
        let subject = subject(&self.link.settings().subject_prefix, event);
        let span = tracing::info_span!(
            "publish to NATS",
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.message.id = %event.id,
            messaging.destination.name = subject,
        );
        link_batch(&span);
        let place = adopt(&span, event.traceparent.as_deref().and_then(SpanId::parse));
        let body = serde_json::to_vec(&Envelope::from(event.clone()));
        let body = body.map_err(|error| SinkError::Rejected(error.to_string()))?;
        let message = PublishMessage::build()
            .message_id(event.id.to_string())
            .header("content-type", "application/cloudevents+json")
            .header(TRACEPARENT.as_str(), place.to_string().as_str())
            .payload(body.into());
        let sent = async { context.send_publish(subject, message).await?.await }.instrument(span).await;
        let Err(error) = sent else { return Ok(()) };
        if refuses_the_message(&error) {
            return Err(SinkError::Rejected(error.to_string()));
        }
        if error.kind() == PublishErrorKind::StreamNotFound {
            self.link.doubt().await;
        }
        Err(SinkError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl EventSink for NatsSink {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn batch(&self) -> u32 {
        512
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        let context = match self.link.context().await {
            Ok(context) => context,
            Err(error) => {
                let down = SinkError::Unavailable(error.to_string());
                return (0..events.len()).map(|place| (place, down.clone())).collect();
            }
        };
        let mut cases: HashMap<CaseId, Vec<(usize, &StoredEvent)>> = HashMap::new();
        for (place, event) in events.iter().enumerate() {
            cases.entry(event.case_id).or_default().push((place, event));
        }
        let sent = cases.values().map(|events| self.publish_case(&context, events));
        let mut missed: Vec<_> = join_all(sent).await.into_iter().flatten().collect();
        missed.sort_unstable_by_key(|(place, _)| *place);
        missed
    }
}

/// Where an event is published: prefix, tenant, type, for instance `docket.events.0190….case.submitted`. Consumers filter
/// by tenant (`docket.events.0190….>`) or type (`docket.events.*.case.submitted`).
pub fn subject(prefix: &str, event: &StoredEvent) -> String {
    format!("{prefix}.{}.{}", event.tenant_id, event.event_type)
}
