//! Follow events: a sink of the relay that turns the events worth asking about into jobs, and is done with them.
//!
//! The job row is the durable hand-over: when `deliver` returns, the jobs are committed, and a register that is down for a
//! day holds up jobs and not the relay.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::case::EventType;
use docket_domain::ids::{JobId, PrincipalId};
use docket_domain::job::{JobKind, Priority};
use serde_json::json;

use super::enrich_case::ENRICH_CASE;
use crate::application::ports::event_feed::StoredEvent;
use crate::application::ports::event_sink::SinkError;
use crate::application::ports::job_store::NewJob;
use crate::application::ports::{Clock, EventSink, JobStore};

/// Enqueues a look-up for each event after which the register may have something new to say.
pub struct FollowEvents {
    /// Where jobs are enqueued.
    pub jobs: Arc<dyn JobStore>,
    /// Fresh ids.
    pub clock: Arc<dyn Clock>,
}

/// Whether an event may have changed what there is to ask. The events that enrichment itself causes never have.
const fn is_of_interest(event_type: EventType) -> bool {
    matches!(event_type, EventType::CaseSubmitted | EventType::CaseUpdated | EventType::CaseReopened)
}

#[async_trait]
impl EventSink for FollowEvents {
    fn name(&self) -> &'static str {
        "enrichment"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        let Ok(kind) = ENRICH_CASE.parse::<JobKind>() else { return Vec::new() };
        let wanted = events.iter().filter(|event| is_of_interest(event.event_type));
        let jobs: Vec<_> = wanted
            .map(|event| NewJob {
                id: JobId(self.clock.new_id()),
                tenant_id: event.tenant_id,
                kind: kind.clone(),
                payload: json!({"case_id": event.case_id, "event_id": event.id}),
                priority: Priority::Normal,
                run_at: None,
                // The same event handed on again while its job waits or runs is the same job.
                unique_key: Some(event.id.to_string()),
                requested_by: PrincipalId::SYSTEM,
                traceparent: event.traceparent.clone(),
            })
            .collect();
        let Some(tenant) = jobs.first().map(|job| job.tenant_id) else { return Vec::new() };
        match self.jobs.enqueue(tenant, &jobs).await {
            Ok(_) => Vec::new(),
            Err(error) => {
                let down = SinkError::Unavailable(error.to_string());
                (0..events.len()).map(|place| (place, down.clone())).collect()
            }
        }
    }
}
