//! The port for reading committed events in an order that skips none.

use async_trait::async_trait;
use docket_domain::case::EventType;
use docket_domain::ids::{CaseId, EventId, TenantId};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::case_reader::Viewer;

/// An event as stored.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The case it tells of.
    pub case_id: CaseId,
    /// The case's version after the change.
    pub sequence: u64,
    /// What happened.
    pub event_type: EventType,
    /// The trace that whoever reacts continues.
    pub traceparent: Option<String>,
    /// Identifiers, states and version.
    pub data: Value,
    /// When.
    pub occurred_at: OffsetDateTime,
    /// The transaction that wrote it.
    pub transaction_id: u64,
}

/// A place in the feed: everything up to and including this event was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedPosition {
    /// The transaction.
    pub transaction_id: u64,
    /// The event in it.
    pub id: Uuid,
}

/// A part of the feed.
#[derive(Debug, Clone)]
pub struct FeedPage {
    /// The events, at most as many as asked for.
    pub events: Vec<StoredEvent>,
    /// Every transaction below this one has ended: nothing will ever be added before it.
    pub horizon: u64,
}

/// Reads committed events.
///
/// Contract: events come in ascending order of (transaction id, event id); an event is given only when every
/// transaction that began writing before its own has ended, so that a reader who goes on from the last position misses
/// none; of one case they come in the order of `sequence`. Only events of cases that the viewer may see now are given;
/// events of deleted cases only to viewers who see restricted ones.
#[async_trait]
pub trait EventFeed: Send + Sync + 'static {
    /// At most `limit` events after a position, of the given types (empty for all).
    async fn page(
        &self,
        viewer: Viewer,
        types: &[EventType],
        after: Option<FeedPosition>,
        limit: u32,
    ) -> Result<FeedPage, StoreError>;
}
