//! A case on the wire: its representation, and the forms a client sends.

use docket_domain::case::{Case, CaseChanges, Command, Confidentiality, NewCase, Severity, State};
use docket_domain::text::{CASE_TYPE_MAX, PROSE_MAX, REFERENCE_MAX, RESPONDENT_MAX, TITLE_MAX};
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use uuid::Uuid;

use super::form::Form;
use crate::application::error::Invalid;

/// A case as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Case)]
pub struct CaseBody<'a> {
    /// Identifier, UUIDv7.
    pub id: Uuid,
    /// The tenant's own name for it, unique in the tenant.
    pub reference: &'a str,
    /// Grows by one with every change.
    #[schema(minimum = 1)]
    pub version: u64,
    /// Where it stands.
    #[schema(schema_with = state_schema)]
    pub state: State,
    /// One line.
    pub title: &'a str,
    /// What happened. Left out of a list for a restricted case: a list is not a look, which would be recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub narrative: Option<&'a str>,
    /// Whom it is about.
    pub respondent: &'a str,
    /// The tenant's classification.
    pub case_type: &'a str,
    /// Sets the deadline.
    #[schema(schema_with = severity_schema)]
    pub severity: Severity,
    /// Who may know of it.
    #[schema(schema_with = confidentiality_schema)]
    pub confidentiality: Confidentiality,
    /// Who opened it.
    pub reporter_id: Uuid,
    /// Who is responsible.
    pub assignee_id: Option<Uuid>,
    /// Who proposed the decision.
    pub proposed_by: Option<Uuid>,
    /// The proposed or approved decision. Left out of a list for a restricted case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<&'a str>, required = false)]
    pub decision: Option<Option<&'a str>>,
    /// Questions without an answer.
    pub open_information_requests: u32,
    /// While set, the case can be neither deleted nor purged.
    pub legal_hold: bool,
    /// Whether its one extension is used up.
    pub deadline_extended: bool,
    /// When it must be decided.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due_at: Option<OffsetDateTime>,
    /// Since when the deadline's clock stands still.
    #[serde(with = "time::serde::rfc3339::option")]
    pub clock_paused_at: Option<OffsetDateTime>,
    /// When the warning at 75 % of the present deadline's working time was given.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deadline_warned_75_at: Option<OffsetDateTime>,
    /// When the warning at 90 % was given.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deadline_warned_90_at: Option<OffsetDateTime>,
    /// When the breach of the present deadline was recorded.
    #[serde(with = "time::serde::rfc3339::option")]
    pub deadline_breached_at: Option<OffsetDateTime>,
    /// When the matter was opened.
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// When it was entered here.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it was closed or withdrawn.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed_at: Option<OffsetDateTime>,
    /// Further fields of the tenant's own. Left out of a list for a restricted case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub attributes: Option<&'a Map<String, Value>>,
    /// The note, attachment or link that this request created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_id: Option<Uuid>,
}

impl<'a> CaseBody<'a> {
    /// The representation of a case.
    pub fn new(case: &'a Case, created_id: Option<Uuid>) -> Self {
        Self {
            id: case.id.0,
            reference: &case.reference,
            version: case.version,
            state: case.state,
            title: &case.title,
            narrative: Some(&case.narrative),
            respondent: &case.respondent,
            case_type: &case.case_type,
            severity: case.severity,
            confidentiality: case.confidentiality,
            reporter_id: case.reporter_id.0,
            assignee_id: case.assignee_id.map(|id| id.0),
            proposed_by: case.proposed_by.map(|id| id.0),
            decision: Some(case.decision.as_deref()),
            open_information_requests: case.open_information_requests,
            legal_hold: case.legal_hold,
            deadline_extended: case.deadline_extended,
            due_at: case.due_at,
            clock_paused_at: case.clock_paused_at,
            deadline_warned_75_at: case.notices.warned_75_at,
            deadline_warned_90_at: case.notices.warned_90_at,
            deadline_breached_at: case.notices.breached_at,
            opened_at: case.opened_at,
            created_at: case.created_at,
            updated_at: case.updated_at,
            closed_at: case.closed_at,
            attributes: Some(&case.attributes),
            created_id,
        }
    }

    /// The representation of a case in a list. Of a restricted case it is what one needs to choose it: who reads on
    /// gets the case by its id, and leaves a record.
    pub fn listed(case: &'a Case) -> Self {
        let whole = Self::new(case, None);
        if case.confidentiality != Confidentiality::Restricted {
            return whole;
        }
        Self { narrative: None, decision: None, attributes: None, ..whole }
    }
}

/// What a client sends to create a case.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct CreateCase {
    /// The tenant's own name for it; made up when absent.
    #[schema(max_length = 100, nullable)]
    reference: Option<String>,
    /// One line, not empty.
    #[schema(min_length = 1, max_length = 200)]
    title: String,
    /// What happened; needed by the time the case is submitted.
    #[schema(max_length = 20000, nullable)]
    narrative: Option<String>,
    /// Whom it is about; needed by the time the case is submitted.
    #[schema(max_length = 300, nullable)]
    respondent: Option<String>,
    /// The tenant's classification; needed by the time the case is submitted.
    #[schema(max_length = 100, nullable)]
    case_type: Option<String>,
    /// Default: medium.
    #[schema(schema_with = severity_schema)]
    severity: Option<String>,
    /// Default: internal.
    #[schema(schema_with = confidentiality_schema)]
    confidentiality: Option<String>,
    /// Flat, at most 64 members and 16 KiB.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// Reads the form of [`CreateCase`]. An empty reference means: make one up.
pub fn new_case(body: Value) -> Result<NewCase, Vec<Invalid>> {
    let mut form = Form::new(body);
    let new = NewCase {
        reference: form.line("reference", REFERENCE_MAX).unwrap_or_default(),
        title: form.required_line("title", TITLE_MAX).unwrap_or_default(),
        narrative: form.prose("narrative", PROSE_MAX).unwrap_or_default(),
        respondent: form.line("respondent", RESPONDENT_MAX).unwrap_or_default(),
        case_type: form.line("case_type", CASE_TYPE_MAX).unwrap_or_default(),
        severity: form.name("severity").unwrap_or(Severity::Medium),
        confidentiality: form.name("confidentiality").unwrap_or(Confidentiality::Internal),
        attributes: form.attributes("attributes").unwrap_or_default(),
    };
    form.finish("reference, title, narrative, respondent, case_type, severity, confidentiality, attributes")?;
    Ok(new)
}

/// What a client sends to change a case; absent members stay as they are.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct PatchCase {
    /// One line, not empty.
    #[schema(min_length = 1, max_length = 200, nullable)]
    title: Option<String>,
    /// What happened.
    #[schema(max_length = 20000, nullable)]
    narrative: Option<String>,
    /// Whom it is about.
    #[schema(max_length = 300, nullable)]
    respondent: Option<String>,
    /// The tenant's classification.
    #[schema(max_length = 100, nullable)]
    case_type: Option<String>,
    /// After submission the deadline counts anew from now.
    #[schema(schema_with = severity_schema)]
    severity: Option<String>,
    /// Who may know of it.
    #[schema(schema_with = confidentiality_schema)]
    confidentiality: Option<String>,
    /// Supervisors only.
    #[schema(nullable)]
    legal_hold: Option<bool>,
    /// Replaces all further fields.
    #[schema(value_type = Option<Object>)]
    attributes: Option<Map<String, Value>>,
}

/// Reads the form of [`PatchCase`].
pub fn case_changes(body: Value) -> Result<CaseChanges, Vec<Invalid>> {
    let mut form = Form::new(body);
    let changes = CaseChanges {
        title: if form.has("title") { form.required_line("title", TITLE_MAX) } else { None },
        narrative: form.prose("narrative", PROSE_MAX),
        respondent: form.line("respondent", RESPONDENT_MAX),
        case_type: form.line("case_type", CASE_TYPE_MAX),
        severity: form.name("severity"),
        confidentiality: form.name("confidentiality"),
        legal_hold: form.boolean("legal_hold"),
        attributes: form.attributes("attributes"),
    };
    if changes == CaseChanges::default() {
        form.error("", "change at least one member");
    }
    form.finish("title, narrative, respondent, case_type, severity, confidentiality, legal_hold, attributes")?;
    Ok(changes)
}

/// The schema of a set of names, derived from the domain's enumeration.
pub fn names_schema(names: impl Iterator<Item = &'static str>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).enum_values(Some(names))
}

/// The states as a schema.
pub fn state_schema() -> ObjectBuilder {
    names_schema(State::ALL.iter().map(|name| name.as_str()))
}

/// The commands as a schema.
pub fn command_schema() -> ObjectBuilder {
    names_schema(Command::ALL.iter().map(|name| name.as_str()))
}

fn severity_schema() -> ObjectBuilder {
    names_schema(Severity::ALL.iter().map(|name| name.as_str()))
}

fn confidentiality_schema() -> ObjectBuilder {
    names_schema(Confidentiality::ALL.iter().map(|name| name.as_str()))
}
