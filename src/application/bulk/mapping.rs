//! Which column of a foreign file fills which field of a case, and what becomes of the rest.

use std::collections::HashMap;

use super::dates::DateFormat;

/// The fields of a case that a file can fill, and whether a row must have a value for them.
pub const FIELDS: &[(Field, bool)] = &[
    (Field::Reference, true),
    (Field::Title, true),
    (Field::State, true),
    (Field::Severity, true),
    (Field::Confidentiality, true),
    (Field::OpenedAt, true),
    (Field::Narrative, false),
    (Field::Respondent, false),
    (Field::CaseType, false),
    (Field::ClosedAt, false),
    (Field::DueAt, false),
    (Field::ClockPausedAt, false),
    (Field::DeadlineExtended, false),
    (Field::OpenInformationRequests, false),
    (Field::LegalHold, false),
    (Field::Decision, false),
    (Field::ReporterId, false),
    (Field::AssigneeId, false),
    (Field::ProposedBy, false),
];

docket_domain::named_enum! {
    /// A field of a case that a file can fill.
    Field, "field of a case" {
        /// The tenant's own name for the case.
        Reference = "reference",
        /// One line.
        Title = "title",
        /// What happened.
        Narrative = "narrative",
        /// Whom it is about.
        Respondent = "respondent",
        /// The tenant's classification.
        CaseType = "case_type",
        /// Sets the deadline.
        Severity = "severity",
        /// Who may know of it.
        Confidentiality = "confidentiality",
        /// Where it stands.
        State = "state",
        /// When the matter was opened.
        OpenedAt = "opened_at",
        /// When it was closed or withdrawn.
        ClosedAt = "closed_at",
        /// When it must be decided.
        DueAt = "due_at",
        /// Since when the clock stands still.
        ClockPausedAt = "clock_paused_at",
        /// Whether its one extension is used up.
        DeadlineExtended = "deadline_extended",
        /// Questions without an answer.
        OpenInformationRequests = "open_information_requests",
        /// Whether it may not be deleted.
        LegalHold = "legal_hold",
        /// The proposed or approved decision.
        Decision = "decision",
        /// Who opened it.
        ReporterId = "reporter_id",
        /// Who is responsible.
        AssigneeId = "assignee_id",
        /// Who proposed the decision.
        ProposedBy = "proposed_by",
    }
}

docket_domain::named_enum! {
    /// What becomes of columns that fill no field.
    Rest, "treatment of other columns" {
        /// They become attributes of the same name.
        Attributes = "attributes",
        /// They are left out.
        Ignore = "ignore",
        /// They are mistakes: the file is refused (CSV) or the row (JSON Lines).
        Reject = "reject",
    }
}

docket_domain::named_enum! {
    /// How the text of a column becomes an attribute.
    AttributeType, "type of an attribute" {
        /// As it stands.
        Text = "text",
        /// A number.
        Number = "number",
        /// `true` or `false`.
        Boolean = "boolean",
    }
}

/// How one field is filled.
#[derive(Debug, Clone, Default)]
pub struct FieldRule {
    /// The columns to look at; the first that is there and not empty counts.
    pub columns: Vec<String>,
    /// The same value for every row.
    pub constant: Option<String>,
    /// The value where the columns are empty or missing.
    pub default: Option<String>,
    /// What the file's values mean; a value that is not listed is a mistake.
    pub values: Option<HashMap<String, String>>,
    /// How dates are written; empty for the mapping's own list.
    pub formats: Vec<DateFormat>,
}

/// How the rest becomes attributes.
#[derive(Debug, Clone)]
pub struct AttributeRule {
    /// A column that holds all attributes as one JSON object.
    pub object: Option<String>,
    /// What becomes of other columns.
    pub rest: Rest,
    /// Columns that are left out whatever `rest` says.
    pub ignore: Vec<String>,
    /// Columns whose text is a number or a boolean.
    pub types: HashMap<String, AttributeType>,
}

/// A whole mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Its name, for messages.
    pub name: String,
    /// SHA-256 of its text: another text is another import.
    pub digest: [u8; 32],
    /// What separates fields in CSV.
    pub delimiter: u8,
    /// How dates are written unless a field says otherwise.
    pub date_formats: Vec<DateFormat>,
    /// Whether cells were protected against spreadsheets, as our own export does; see [`super::escape`].
    pub spreadsheet_escape: bool,
    /// Whether an open case without a due date gets one by its severity, counted from `opened_at`.
    pub deadline_by_severity: bool,
    /// The fields.
    pub fields: HashMap<Field, FieldRule>,
    /// The rest.
    pub attributes: AttributeRule,
}

impl Mapping {
    /// What does not fit between this mapping and the header of a file: columns that no row can do without, and columns
    /// that nobody wants.
    pub fn misfits(&self, header: &[String]) -> Vec<String> {
        let mut misfits = Vec::new();
        for (field, required) in FIELDS {
            let Some(rule) = self.fields.get(field).filter(|_| *required) else { continue };
            let fixed = rule.constant.is_some() || rule.default.is_some();
            if !fixed && !rule.columns.iter().any(|column| header.contains(column)) {
                misfits.push(format!("`{field}` is read from `{}`, which is missing", rule.columns.join("` or `")));
            }
        }
        if self.attributes.rest == Rest::Reject {
            let surplus = header.iter().filter(|column| !self.knows(column));
            misfits.extend(surplus.map(|column| format!("nothing is known about the column `{column}`")));
        }
        for (index, column) in header.iter().enumerate() {
            if header[..index].contains(column) {
                misfits.push(format!("the column `{column}` stands there twice"));
            }
        }
        misfits
    }

    /// Whether a column fills a field, holds the attributes or is left out on purpose.
    pub fn knows(&self, column: &str) -> bool {
        self.fields.values().any(|rule| rule.columns.iter().any(|known| known == column))
            || self.attributes.object.as_deref() == Some(column)
            || self.attributes.ignore.iter().any(|known| known == column)
    }
}
