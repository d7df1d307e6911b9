//! The change feed in PostgreSQL: committed events only, in an order that no late commit can get behind.

use async_trait::async_trait;
use docket_domain::case::EventType;
use docket_domain::ids::{CaseId, EventId, TenantId};
use sqlx::PgPool;

use super::case_row::{signed, unsigned};
use super::error::{store_error, unreadable};
use crate::application::ports::StoreError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::event_feed::{EventFeed, FeedPage, FeedPosition, StoredEvent};

/// [`EventFeed`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgEventFeed {
    pool: PgPool,
}

impl PgEventFeed {
    /// A feed on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl EventFeed for PgEventFeed {
    async fn page(
        &self,
        viewer: Viewer,
        types: &[EventType],
        after: Option<FeedPosition>,
        limit: u32,
    ) -> Result<FeedPage, StoreError> {
        let types: Vec<String> = types.iter().map(|name| name.as_str().to_owned()).collect();
        let types = (!types.is_empty()).then_some(types);
        let rows = sqlx::query_file!(
            "src/adapters/postgres/sql/event_feed.sql",
            viewer.tenant_id.to_string(),
            viewer.sight.public,
            viewer.sight.internal,
            viewer.sight.restricted,
            viewer.principal_id.0,
            types.as_deref(),
            after.map_or(0, |position| signed(position.transaction_id)).to_string(),
            after.map_or(uuid::Uuid::nil(), |position| position.id),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(store_error)?;
        let horizon = rows.first().map_or(0, |row| unsigned(row.horizon));
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let (Some(id), Some(case_id), Some(sequence), Some(event_type)) =
                (row.id, row.case_id, row.sequence, row.r#type)
            else {
                continue; // nothing but the horizon
            };
            events.push(StoredEvent {
                id: EventId(id),
                tenant_id: TenantId(viewer.tenant_id.0),
                case_id: CaseId(case_id),
                sequence: unsigned(sequence),
                event_type: event_type.parse().map_err(unreadable)?,
                traceparent: row.traceparent,
                data: row.data.unwrap_or_default(),
                occurred_at: row.occurred_at.unwrap_or(time::OffsetDateTime::UNIX_EPOCH),
                transaction_id: row.transaction_id.map_or(0, unsigned),
            });
        }
        Ok(FeedPage { events, horizon })
    }
}
