//! A validated row, and what it makes of a new or an existing case.

use docket_domain::calendar::Calendar;
use docket_domain::case::{Case, Confidentiality, Notices, Severity, State, deadline};
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use serde_json::{Map, Value};
use time::OffsetDateTime;

/// What is wrong with a row, and in which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The field or column; empty when the whole row is meant.
    pub field: String,
    /// What was wrong and what is allowed.
    pub reason: String,
}

/// A row that was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its line in the file, from 1.
    pub line: u64,
    /// Its reference, where it could be read.
    pub reference: String,
    /// Why.
    pub error: RowError,
    /// The beginning of the row as it stands in the file.
    pub excerpt: String,
}

/// A case as a file tells it. `None` at the outer level means that the file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the member of `Case` of the same name")]
pub struct ImportRecord {
    pub reference: String,
    pub title: String,
    pub narrative: Option<String>,
    pub respondent: Option<String>,
    pub case_type: Option<String>,
    pub severity: Severity,
    pub confidentiality: Confidentiality,
    pub state: State,
    pub opened_at: OffsetDateTime,
    pub closed_at: Option<OffsetDateTime>,
    pub due_at: Option<Option<OffsetDateTime>>,
    /// Whether `due_at` was reckoned and not told by the file.
    pub due_reckoned: bool,
    pub clock_paused_at: Option<Option<OffsetDateTime>>,
    pub deadline_extended: Option<bool>,
    pub open_information_requests: Option<u32>,
    pub legal_hold: Option<bool>,
    pub decision: Option<Option<String>>,
    pub reporter_id: Option<PrincipalId>,
    pub assignee_id: Option<Option<PrincipalId>>,
    pub proposed_by: Option<Option<PrincipalId>>,
    pub attributes: Option<Map<String, Value>>,
}

impl ImportRecord {
    /// The new case, at version 1, as it stood when the file was written. What the file does not say is filled in so
    /// that the state makes sense: a case that waits for information has a question open and its clock stands still.
    pub fn into_case(self, id: CaseId, tenant_id: TenantId, now: OffsetDateTime, calendar: &Calendar) -> Case {
        let waiting = self.state == State::AwaitingInformation;
        let mut case = Case {
            id,
            tenant_id,
            reference: String::new(),
            version: 1,
            state: self.state,
            title: String::new(),
            narrative: String::new(),
            respondent: String::new(),
            case_type: String::new(),
            severity: self.severity,
            confidentiality: self.confidentiality,
            reporter_id: PrincipalId::SYSTEM,
            assignee_id: None,
            proposed_by: None,
            decision: None,
            open_information_requests: 0,
            legal_hold: false,
            deadline_extended: false,
            due_at: None,
            clock_paused_at: None,
            notices: Notices::default(),
            opened_at: self.opened_at,
            created_at: now,
            updated_at: now,
            closed_at: None,
            attributes: Map::new(),
        };
        case.reference.clone_from(&self.reference);
        self.overwrite(&mut case);
        if waiting {
            wait_for_information(&mut case, now);
        }
        deadline::adopt(&mut case, now, calendar);
        case
    }

    /// The existing case with what the file says (version one higher), or none when the file says nothing new.
    pub fn changed(mut self, existing: &Case, now: OffsetDateTime, calendar: &Calendar) -> Option<Case> {
        // What was only reckoned is for a case without a deadline, or with one of another severity or beginning: the clock of the
        // one it has may have stood still since, or been given another end.
        let same = (self.severity, self.opened_at) == (existing.severity, existing.opened_at);
        if self.due_reckoned && same && existing.due_at.is_some() {
            self.due_at = None;
        }
        let told = Told::of(&self);
        let mut case = existing.clone();
        self.overwrite(&mut case);
        told.fit_clock(existing, &mut case, now, calendar);
        if case == *existing {
            return None;
        }
        // What was told of a deadline stays told, as long as it is the same deadline.
        if told.due && case.due_at != existing.due_at {
            deadline::adopt(&mut case, now, calendar);
        } else {
            deadline::follow(existing, &mut case, now, calendar);
        }
        case.version += 1;
        case.updated_at = now;
        Some(case)
    }

    fn overwrite(self, case: &mut Case) {
        case.title = self.title;
        case.severity = self.severity;
        case.confidentiality = self.confidentiality;
        case.state = self.state;
        case.opened_at = self.opened_at;
        case.closed_at = self.closed_at;
        set(&mut case.narrative, self.narrative);
        set(&mut case.respondent, self.respondent);
        set(&mut case.case_type, self.case_type);
        set(&mut case.attributes, self.attributes);
        set(&mut case.due_at, self.due_at);
        set(&mut case.clock_paused_at, self.clock_paused_at);
        set(&mut case.deadline_extended, self.deadline_extended);
        set(&mut case.open_information_requests, self.open_information_requests);
        set(&mut case.legal_hold, self.legal_hold);
        set(&mut case.decision, self.decision);
        set(&mut case.reporter_id, self.reporter_id);
        set(&mut case.assignee_id, self.assignee_id);
        set(&mut case.proposed_by, self.proposed_by);
    }

    /// Gives an open case the deadline of its severity, counted from when it was opened, unless the file has one.
    pub fn compute_deadline(&mut self, calendar: &Calendar) {
        let runs = !self.state.is_terminal() && self.state != State::Draft;
        if runs && self.due_at.is_none_or(|due| due.is_none()) {
            let due = deadline::due_at(self.opened_at, self.severity, calendar);
            self.due_at = Some(Some(due));
            self.due_reckoned = true;
        }
    }
}

/// Which members that follow from the state the file tells itself.
#[derive(Clone, Copy)]
struct Told {
    due: bool,
    clock: bool,
    questions: bool,
}

impl Told {
    fn of(record: &ImportRecord) -> Self {
        Self {
            due: record.due_at.is_some(),
            clock: record.clock_paused_at.is_some(),
            questions: record.open_information_requests.is_some(),
        }
    }

    /// Makes clock and questions fit the state. What the file tells of them is taken as it is, but for a case that waits for
    /// information: what it waits for is a question, and its clock stands still.
    fn fit_clock(self, existing: &Case, case: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
        if case.state == State::AwaitingInformation {
            let paused_at = existing.clock_paused_at.filter(|_| existing.state == State::AwaitingInformation);
            wait_for_information(case, paused_at.unwrap_or(now));
        } else if existing.state == State::AwaitingInformation {
            if !self.questions {
                case.open_information_requests = 0;
            }
            if !self.clock
                && let Some(paused_at) = case.clock_paused_at.take()
                && !self.due
            {
                case.due_at = case.due_at.map(|due| deadline::resume(due, paused_at, now, calendar));
            }
        }
    }
}

fn wait_for_information(case: &mut Case, paused_at: OffsetDateTime) {
    case.clock_paused_at = case.clock_paused_at.or(Some(paused_at));
    case.open_information_requests = case.open_information_requests.max(1);
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
