//! The port for handing events on: cursors over the feed, and lanes of deliveries.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::ids::{CaseId, DestinationId, EndpointId, EventId, TenantId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::delivery_log::Attempt;
use super::event_feed::{FeedPosition, StoredEvent};
use super::event_sink::Start;

/// The reader of the feed that writes webhook deliveries.
pub const WEBHOOKS: &str = "webhooks";
/// What [`RelayStore::backlog`] calls lanes with something due.
pub const LANES: &str = "lanes";

/// How many lanes may be claimed.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Of all destinations together.
    pub total: u32,
    /// Of one destination that is not listed.
    pub each: u32,
    /// Of these destinations.
    pub of: Vec<(DestinationId, u32)>,
    /// The sinks that this process has; lanes of others are left alone.
    pub sinks: Vec<DestinationId>,
}

/// The head of a claimed lane.
#[derive(Debug, Clone)]
pub struct ClaimedHead {
    /// For whom.
    pub destination: DestinationId,
    /// The sink's name; none for a webhook endpoint.
    pub sink: Option<String>,
    /// Where to post it, if it is for an endpoint.
    pub endpoint: Option<EndpointTarget>,
    /// Attempts that failed before and counted.
    pub attempts: u16,
    /// When it last failed at an endpoint, by the clock of the delivery log.
    pub failed_at: Option<OffsetDateTime>,
    /// Proves that the lane is still the claimer's.
    pub token: Uuid,
    /// The event.
    pub event: StoredEvent,
}

/// A claim on a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneClaim {
    /// For whom.
    pub destination: DestinationId,
    /// The case.
    pub case_id: CaseId,
    /// Proves that the lane is still the claimer's.
    pub token: Uuid,
}

impl From<&ClaimedHead> for LaneClaim {
    fn from(head: &ClaimedHead) -> Self {
        Self { destination: head.destination, case_id: head.event.case_id, token: head.token }
    }
}

/// What is needed to send to an endpoint.
#[derive(Debug, Clone)]
pub struct EndpointTarget {
    /// The endpoint.
    pub id: EndpointId,
    /// Where.
    pub url: String,
    /// Its live secrets, sealed, the newest first.
    pub secrets: Vec<Vec<u8>>,
}

/// What becomes of a claimed head.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It arrived and leaves the lane.
    Delivered,
    /// It stays, and is tried after the time.
    Retry {
        /// Failed attempts from now on.
        attempts: u16,
        /// When, from now.
        after: Duration,
    },
    /// It is given up and parks the lane.
    Dead {
        /// Failed attempts.
        attempts: u16,
    },
    /// The endpoint is disabled; the lane waits.
    Disable,
}

/// The end of one attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// For whom.
    pub destination: DestinationId,
    /// The case.
    pub case_id: CaseId,
    /// The head's place in the case.
    pub sequence: u64,
    /// The claim.
    pub token: Uuid,
    /// What becomes of it.
    pub outcome: Outcome,
    /// What went wrong, in a line.
    pub error: Option<String>,
    /// The line of the delivery log, if there is to be one.
    pub attempt: Option<Attempt>,
}

/// A sink's progress in a tenant, held under a lease.
#[derive(Debug, Clone, Copy)]
pub struct HeldCursor {
    /// Proves that it is still the holder's.
    pub token: Uuid,
    /// Everything up to here was handed on.
    pub position: FeedPosition,
}

/// An event of the feed, for a sink.
#[derive(Debug, Clone)]
pub struct ReadEvent {
    /// The event.
    pub event: StoredEvent,
    /// Whether an earlier event of its case waits in a lane of this sink.
    pub held: bool,
}

/// An event that must wait in a lane.
#[derive(Debug, Clone)]
pub struct Diverted {
    /// The case.
    pub case_id: CaseId,
    /// The place in it.
    pub sequence: u64,
    /// The event.
    pub event_id: EventId,
    /// Failed attempts, for the first of a case that has no lane yet.
    pub attempts: u16,
    /// What went wrong.
    pub error: Option<String>,
    /// When to try, from now.
    pub after: Duration,
}

/// What waits for one kind of destination, over all tenants.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// `webhook` or the name of a sink.
    pub sink: String,
    /// Deliveries in lanes.
    pub pending: u64,
    /// Lanes whose head was given up.
    pub dead: u64,
    /// Deliveries behind dead heads.
    pub parked: u64,
    /// How long the oldest has made no progress, in seconds.
    pub oldest_seconds: f64,
}

/// Cursors and lanes.
///
/// Contract: nothing here stays locked when a method returns. A claim or a held cursor is the caller's until its lease ends by
/// the store's clock; a method with a token does nothing and says so (`false`) when it is no longer. At any time at most one
/// token is valid for a lane and for a tenant's cursor of a sink. `claim` gives of each lane only the head (its lowest
/// undelivered sequence). `fan_out` and `advance` move a cursor and write what it passed in one transaction.
#[async_trait]
pub trait RelayStore: Send + Sync + 'static {
    /// Which tenants have something for which reader: [`WEBHOOKS`], [`LANES`], or one of the sinks.
    async fn backlog(&self, sinks: &[&str]) -> Result<Vec<(TenantId, String)>, StoreError>;

    /// Writes the deliveries of at most `limit` events for the endpoints that want them; how many events were passed, none
    /// if the tenant has no endpoint.
    async fn fan_out(&self, tenant: TenantId, limit: u32) -> Result<Option<u32>, StoreError>;

    /// Claims due lanes under a lease.
    async fn claim(&self, tenant: TenantId, room: &Room, lease: Duration) -> Result<Vec<ClaimedHead>, StoreError>;

    /// Ends a claim.
    async fn settle(&self, tenant: TenantId, settlement: &Settlement) -> Result<bool, StoreError>;

    /// Whether an endpoint took something after this instant, by its delivery log.
    async fn took_since(
        &self,
        tenant: TenantId,
        destination: DestinationId,
        since: OffsetDateTime,
    ) -> Result<bool, StoreError>;

    /// Lets go of claimed lanes, which are due at once, as if they had never been claimed; how many were the claimer's still.
    async fn hand_back(&self, tenant: TenantId, claims: &[LaneClaim]) -> Result<u64, StoreError>;

    /// Takes a sink's cursor; none when somebody else has it.
    async fn acquire(
        &self,
        tenant: TenantId,
        sink: &str,
        start: Start,
        lease: Duration,
    ) -> Result<Option<HeldCursor>, StoreError>;

    /// Events of the tenant after a position, in commit order, without a gap.
    async fn read(
        &self,
        tenant: TenantId,
        sink: &str,
        after: FeedPosition,
        limit: u32,
    ) -> Result<Vec<ReadEvent>, StoreError>;

    /// Moves a held cursor, puts events into lanes, and begins the lease anew.
    async fn advance(
        &self,
        tenant: TenantId,
        sink: &str,
        cursor: HeldCursor,
        diverted: &[Diverted],
        lease: Duration,
    ) -> Result<bool, StoreError>;

    /// Hands a cursor back.
    async fn release(&self, tenant: TenantId, sink: &str, token: Uuid) -> Result<(), StoreError>;

    /// What waits, for the gauges.
    async fn waiting(&self) -> Result<Vec<Waiting>, StoreError>;
}
