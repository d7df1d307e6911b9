//! The port for looking at deliveries: endpoints with their secrets, the delivery log, and what waits in the lanes.

use async_trait::async_trait;
use docket_domain::ids::{CaseId, DestinationId, EndpointId, EventId, TenantId};
use docket_domain::webhook::Endpoint;
use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::relay_store::EndpointTarget;

/// One attempt to deliver an event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// Identifier, in the order of time.
    pub id: Uuid,
    /// For whom.
    pub destination: DestinationId,
    /// Which event; also the `webhook-id` of the message.
    pub event_id: EventId,
    /// Its type on the wire.
    pub event_type: String,
    /// The case; none for a test.
    pub case_id: Option<CaseId>,
    /// The place in the case.
    pub sequence: Option<u64>,
    /// Which attempt it was, from 1.
    pub attempt: u16,
    /// `delivered`, `rejected`, `outage`, `gone` or `skipped`.
    pub outcome: String,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// The beginning of the answer, or what went wrong.
    pub detail: Option<String>,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub attempted_at: OffsetDateTime,
}

/// What waits for one destination in one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaitingLane {
    /// For whom: an endpoint's id, or that of a sink.
    pub destination_id: DestinationId,
    /// The sink's name, or `webhook`.
    pub sink: String,
    /// The case.
    pub case_id: CaseId,
    /// `ready`: tried when due. `dead`: its head was given up and parks the rest.
    pub state: String,
    /// Events that wait, the head included.
    pub pending: u32,
    /// Failed attempts of the head.
    pub attempts: u16,
    /// When the head is tried, or when the present attempt is given up.
    #[serde(with = "time::serde::rfc3339")]
    pub due_at: OffsetDateTime,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When the lane last made progress.
    #[serde(with = "time::serde::rfc3339")]
    pub waiting_since: OffsetDateTime,
    /// The event at the head.
    pub event_id: EventId,
    /// Its type on the wire.
    pub event_type: String,
    /// Its place in the case.
    pub sequence: u64,
}

/// Which lanes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LaneFilter {
    /// Only dead ones, or only others.
    pub dead: Option<bool>,
    /// Only of this destination.
    pub destination: Option<DestinationId>,
    /// Only of this case.
    pub case_id: Option<CaseId>,
}

/// Where a page of lanes begins: after this destination and case.
pub type LaneKey = (Uuid, Uuid);

/// Reads endpoints, lanes and the log. Contract: only rows of the given tenant; lists are in the order of ids (lanes: of
/// destination and case; attempts: newest first), begin after `after` and hold at most `limit`.
#[async_trait]
pub trait DeliveryLog: Send + Sync + 'static {
    /// The tenant's endpoints.
    async fn endpoints(&self, tenant: TenantId, after: Option<Uuid>, limit: u32) -> Result<Vec<Endpoint>, StoreError>;
    /// One endpoint.
    async fn endpoint(&self, tenant: TenantId, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;
    /// What is needed to send to it now.
    async fn target(&self, tenant: TenantId, id: EndpointId) -> Result<Option<EndpointTarget>, StoreError>;
    /// What was tried, newest first; `after` is the id of the last attempt of the page before.
    async fn attempts(
        &self,
        tenant: TenantId,
        destination: DestinationId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError>;
    /// Adds a line to the log.
    async fn record(&self, tenant: TenantId, attempt: &Attempt) -> Result<(), StoreError>;
    /// What waits.
    async fn lanes(
        &self,
        tenant: TenantId,
        filter: &LaneFilter,
        after: Option<LaneKey>,
        limit: u32,
    ) -> Result<Vec<WaitingLane>, StoreError>;
    /// How many events of a time range an endpoint would be sent again.
    async fn count_range(
        &self,
        tenant: TenantId,
        id: EndpointId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<u64, StoreError>;
}
