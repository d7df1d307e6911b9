//! A batch of writes turned on its side: one array for each column, as `unnest` takes them.

use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::signed;
use crate::application::ports::case_store::CaseWrite;

/// The arrays; the same index in each belongs to the same case.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "each field holds the column of the same name, in the plural")]
pub struct Columns<'a> {
    pub ids: Vec<Uuid>,
    pub versions: Vec<i64>,
    pub references: Vec<&'a str>,
    pub states: Vec<&'a str>,
    pub severities: Vec<&'a str>,
    pub confidentialities: Vec<&'a str>,
    pub titles: Vec<&'a str>,
    pub narratives: Vec<&'a str>,
    pub respondents: Vec<&'a str>,
    pub case_types: Vec<&'a str>,
    pub reporter_ids: Vec<Uuid>,
    pub assignee_ids: Vec<Option<Uuid>>,
    pub proposed_by: Vec<Option<Uuid>>,
    pub decisions: Vec<Option<&'a str>>,
    pub open_information_requests: Vec<i32>,
    pub legal_holds: Vec<bool>,
    pub deadlines_extended: Vec<bool>,
    pub due_at: Vec<Option<OffsetDateTime>>,
    pub clock_paused_at: Vec<Option<OffsetDateTime>>,
    pub deadline_seconds: Vec<Option<i64>>,
    pub warned_75_at: Vec<Option<OffsetDateTime>>,
    pub warned_90_at: Vec<Option<OffsetDateTime>>,
    pub breached_at: Vec<Option<OffsetDateTime>>,
    pub next_notice_at: Vec<Option<OffsetDateTime>>,
    pub opened_at: Vec<OffsetDateTime>,
    pub updated_at: Vec<OffsetDateTime>,
    pub closed_at: Vec<Option<OffsetDateTime>>,
    pub attributes: Vec<String>,
    pub heads: Vec<&'a [u8]>,
    pub records: Vec<&'a str>,
    pub event_ids: Vec<Uuid>,
    pub event_data: Vec<String>,
    pub sequences: Vec<i64>,
    pub previous: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    /// The columns of these writes.
    pub fn of(writes: &'a [CaseWrite]) -> Self {
        let mut columns = Self::default();
        for write in writes {
            columns.push(write);
        }
        columns
    }

    fn push(&mut self, write: &'a CaseWrite) {
        let case = &write.case;
        self.ids.push(case.id.0);
        self.versions.push(signed(case.version));
        self.references.push(&case.reference);
        self.states.push(case.state.as_str());
        self.severities.push(case.severity.as_str());
        self.confidentialities.push(case.confidentiality.as_str());
        self.titles.push(&case.title);
        self.narratives.push(&case.narrative);
        self.respondents.push(&case.respondent);
        self.case_types.push(&case.case_type);
        self.reporter_ids.push(case.reporter_id.0);
        self.assignee_ids.push(case.assignee_id.map(|id| id.0));
        self.proposed_by.push(case.proposed_by.map(|id| id.0));
        self.decisions.push(case.decision.as_deref());
        self.open_information_requests.push(i32::try_from(case.open_information_requests).unwrap_or(i32::MAX));
        self.legal_holds.push(case.legal_hold);
        self.deadlines_extended.push(case.deadline_extended);
        self.due_at.push(case.due_at);
        self.clock_paused_at.push(case.clock_paused_at);
        self.deadline_seconds.push(case.notices.working_seconds.map(signed));
        self.warned_75_at.push(case.notices.warned_75_at);
        self.warned_90_at.push(case.notices.warned_90_at);
        self.breached_at.push(case.notices.breached_at);
        self.next_notice_at.push(case.notices.next_at);
        self.opened_at.push(case.opened_at);
        self.updated_at.push(case.updated_at);
        self.closed_at.push(case.closed_at);
        self.attributes.push(serde_json::to_string(&case.attributes).unwrap_or_else(|_| "{}".to_owned()));
        self.heads.push(&write.head.hash);
        self.records.push(&write.canonical);
        self.event_ids.push(write.event.as_ref().map_or(Uuid::nil(), |event| event.id.0));
        self.event_data.push(write.event.as_ref().map_or_else(|| "{}".to_owned(), |event| event.data.to_string()));
        self.sequences.push(signed(write.head.seq));
        self.previous.push(&write.decided_on.1.hash);
    }
}
