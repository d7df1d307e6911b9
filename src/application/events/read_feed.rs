//! Read the change feed: committed events in an order that skips none, and the place to go on from.

use docket_domain::case::EventType;
use docket_domain::principal::Scope;
use uuid::Uuid;

use crate::application::error::UseCaseError;
use crate::application::ports::EventFeed;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::event_feed::{FeedPosition, StoredEvent};
use crate::application::request::Caller;

/// A part of the feed.
#[derive(Debug, Clone)]
pub struct FeedPart {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Where the next page begins; none when everything committed so far was read.
    pub next: Option<FeedPosition>,
    /// Where to ask again later: never behind an event that is still to come, never before one that was given.
    pub resume: FeedPosition,
}

/// At most `limit` events of cases that the caller may see.
pub async fn read_feed(
    feed: &dyn EventFeed,
    caller: &Caller,
    viewer: Viewer,
    types: &[EventType],
    after: Option<FeedPosition>,
    limit: u32,
) -> Result<FeedPart, UseCaseError> {
    caller.require_scope(Scope::CasesRead)?;
    // One more than asked tells whether there is a next page.
    let mut page = feed.page(viewer, types, after, limit + 1).await?;
    let more = page.events.len() > limit as usize;
    page.events.truncate(limit as usize);
    let last = page.events.last().map(|event| FeedPosition { transaction_id: event.transaction_id, id: event.id.0 });
    let next = last.filter(|_| more);
    // At the end everything below the horizon was read, also what the caller may not see.
    let end = FeedPosition { transaction_id: page.horizon.saturating_sub(1), id: Uuid::max() };
    let start = after.unwrap_or(FeedPosition { transaction_id: 0, id: Uuid::nil() });
    let furthest = if start.transaction_id > end.transaction_id { start } else { end };
    Ok(FeedPart { events: page.events, next, resume: next.unwrap_or(furthest) })
}
