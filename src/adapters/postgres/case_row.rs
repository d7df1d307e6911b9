//! One row of `docket.cases` and its way into the domain.

use docket_domain::audit::ChainHead;
use docket_domain::case::{Case, Notices};
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::unreadable;
use crate::application::ports::StoreError;
use crate::application::ports::case_store::StoredCase;

/// The columns of a case, in the order of [`CASE_COLUMNS`].
#[derive(Debug, sqlx::FromRow)]
#[allow(missing_docs, reason = "each field is the column of the same name; see the migration")]
pub struct CaseRow {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub reference: String,
    pub version: i64,
    pub state: String,
    pub severity: String,
    pub confidentiality: String,
    pub title: String,
    pub narrative: String,
    pub respondent: String,
    pub case_type: String,
    pub reporter_id: Uuid,
    pub assignee_id: Option<Uuid>,
    pub proposed_by: Option<Uuid>,
    pub decision: Option<String>,
    pub open_information_requests: i32,
    pub legal_hold: bool,
    pub deadline_extended: bool,
    pub due_at: Option<OffsetDateTime>,
    pub clock_paused_at: Option<OffsetDateTime>,
    pub opened_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub closed_at: Option<OffsetDateTime>,
    pub attributes: Value,
    pub audit_seq: i64,
    pub audit_head: Vec<u8>,
    pub deadline_seconds: Option<i64>,
    pub warned_75_at: Option<OffsetDateTime>,
    pub warned_90_at: Option<OffsetDateTime>,
    pub breached_at: Option<OffsetDateTime>,
    pub next_notice_at: Option<OffsetDateTime>,
}

/// What a dynamic query selects to fill a [`CaseRow`].
pub const CASE_COLUMNS: &str = "id, tenant_id, reference, version, state, severity, confidentiality, title, narrative, \
    respondent, case_type, reporter_id, assignee_id, proposed_by, decision, open_information_requests, legal_hold, \
    deadline_extended, due_at, clock_paused_at, opened_at, created_at, updated_at, closed_at, attributes, audit_seq, \
    audit_head, deadline_seconds, warned_75_at, warned_90_at, breached_at, next_notice_at";

/// Fills a [`CaseRow`] from a checked query's record, which has the same field names but a type of its own.
macro_rules! case_row {
    ($record:expr) => {
        $crate::adapters::postgres::case_row::CaseRow {
            id: $record.id,
            tenant_id: $record.tenant_id,
            reference: $record.reference,
            version: $record.version,
            state: $record.state,
            severity: $record.severity,
            confidentiality: $record.confidentiality,
            title: $record.title,
            narrative: $record.narrative,
            respondent: $record.respondent,
            case_type: $record.case_type,
            reporter_id: $record.reporter_id,
            assignee_id: $record.assignee_id,
            proposed_by: $record.proposed_by,
            decision: $record.decision,
            open_information_requests: $record.open_information_requests,
            legal_hold: $record.legal_hold,
            deadline_extended: $record.deadline_extended,
            due_at: $record.due_at,
            clock_paused_at: $record.clock_paused_at,
            opened_at: $record.opened_at,
            created_at: $record.created_at,
            updated_at: $record.updated_at,
            closed_at: $record.closed_at,
            attributes: $record.attributes,
            audit_seq: $record.audit_seq,
            audit_head: $record.audit_head,
            deadline_seconds: $record.deadline_seconds,
            warned_75_at: $record.warned_75_at,
            warned_90_at: $record.warned_90_at,
            breached_at: $record.breached_at,
            next_notice_at: $record.next_notice_at,
        }
    };
}
pub(crate) use case_row;

impl TryFrom<CaseRow> for StoredCase {
    type Error = StoreError;

    fn try_from(row: CaseRow) -> Result<Self, StoreError> {
        let attributes = match row.attributes {
            Value::Object(members) => members,
            _ => serde_json::Map::new(),
        };
        let case = Case {
            id: CaseId(row.id),
            tenant_id: TenantId(row.tenant_id),
            reference: row.reference,
            version: unsigned(row.version),
            state: row.state.parse().map_err(unreadable)?,
            title: row.title,
            narrative: row.narrative,
            respondent: row.respondent,
            case_type: row.case_type,
            severity: row.severity.parse().map_err(unreadable)?,
            confidentiality: row.confidentiality.parse().map_err(unreadable)?,
            reporter_id: PrincipalId(row.reporter_id),
            assignee_id: row.assignee_id.map(PrincipalId),
            proposed_by: row.proposed_by.map(PrincipalId),
            decision: row.decision,
            open_information_requests: u32::try_from(row.open_information_requests).unwrap_or(0),
            legal_hold: row.legal_hold,
            deadline_extended: row.deadline_extended,
            due_at: row.due_at,
            clock_paused_at: row.clock_paused_at,
            notices: Notices {
                working_seconds: row.deadline_seconds.map(unsigned),
                warned_75_at: row.warned_75_at,
                warned_90_at: row.warned_90_at,
                breached_at: row.breached_at,
                next_at: row.next_notice_at,
            },
            opened_at: row.opened_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            closed_at: row.closed_at,
            attributes,
        };
        Ok(Self { case, head: ChainHead { seq: unsigned(row.audit_seq), hash: hash32(row.audit_head)? } })
    }
}

/// A count that the database keeps at zero or above.
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A count on its way into a `bigint`.
pub fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A hash that the database keeps at 32 bytes.
pub fn hash32(bytes: Vec<u8>) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::internal("a stored hash does not have 32 bytes"))
}
