//! From a row of a file to a validated record, by a mapping. The bounds are those of the API.

use docket_domain::calendar::Calendar;
use std::str::FromStr;

use docket_domain::case::attributes::attribute_mistakes;
use docket_domain::ids::PrincipalId;
use docket_domain::text::{self, TextError};
use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use super::dates;
use super::mapping::{AttributeType, Field, Mapping, Rest};
use super::record::{ImportRecord, RowError};
use super::source_row::{Cell, SourceRow};

/// What a rule makes of a row.
enum Found {
    /// No rule, or the file lacks the column.
    Unsaid,
    /// The file says that there is nothing.
    Nothing,
    /// A value.
    Value(String),
}

/// Validates rows by one mapping.
#[derive(Debug, Clone, Copy)]
pub struct Mapper<'m> {
    mapping: &'m Mapping,
    calendar: &'m Calendar,
    now: OffsetDateTime,
}

impl<'m> Mapper<'m> {
    /// A mapper; due dates are reckoned by `calendar`, and dates after `now` are mistakes for what has happened.
    pub fn new(mapping: &'m Mapping, calendar: &'m Calendar, now: OffsetDateTime) -> Self {
        Self { mapping, calendar, now }
    }

    /// The reference of a row, as far as it can be read, to name it in a report.
    pub fn reference(&self, row: &SourceRow) -> String {
        match self.find(row, Field::Reference) {
            Ok(Found::Value(text)) => text.trim().chars().take(text::REFERENCE_MAX).collect(),
            _ => String::new(),
        }
    }

    /// The record, or everything that is wrong with the row.
    pub fn map(&self, row: &SourceRow) -> Result<ImportRecord, Vec<RowError>> {
        let mut errors = Vec::new();
        let record = self.record(row, &mut errors);
        match record {
            Some(record) if errors.is_empty() => Ok(record),
            _ => Err(errors),
        }
    }

    fn record(&self, row: &SourceRow, errors: &mut Vec<RowError>) -> Option<ImportRecord> {
        let reference = self.required(row, Field::Reference, errors, |text| line(text, text::REFERENCE_MAX));
        let title = self.required(row, Field::Title, errors, |text| line(text, text::TITLE_MAX));
        let severity = self.required(row, Field::Severity, errors, named);
        let confidentiality = self.required(row, Field::Confidentiality, errors, named);
        let state = self.required(row, Field::State, errors, named);
        let opened_at = self.required(row, Field::OpenedAt, errors, |text| self.past(text, Field::OpenedAt));
        let narrative = self.optional(row, Field::Narrative, errors, |text| prose(text, text::PROSE_MAX));
        let respondent = self.optional(row, Field::Respondent, errors, |text| line(text, text::RESPONDENT_MAX));
        let case_type = self.optional(row, Field::CaseType, errors, |text| line(text, text::CASE_TYPE_MAX));
        let closed_at = self.optional(row, Field::ClosedAt, errors, |text| self.past(text, Field::ClosedAt));
        let due_at = self.optional(row, Field::DueAt, errors, |text| self.date(text, Field::DueAt));
        let paused = self.optional(row, Field::ClockPausedAt, errors, |text| self.past(text, Field::ClockPausedAt));
        let deadline_extended = self.optional(row, Field::DeadlineExtended, errors, boolean);
        let open_questions = self.optional(row, Field::OpenInformationRequests, errors, count);
        let legal_hold = self.optional(row, Field::LegalHold, errors, boolean);
        let decision = self.optional(row, Field::Decision, errors, |text| prose(text, text::PROSE_MAX));
        let reporter_id = self.optional(row, Field::ReporterId, errors, principal);
        let assignee_id = self.optional(row, Field::AssigneeId, errors, principal);
        let proposed_by = self.optional(row, Field::ProposedBy, errors, principal);
        let attributes = self.attributes(row, errors);
        let mut record = ImportRecord {
            reference: reference?,
            title: title?,
            narrative: narrative.map(Option::unwrap_or_default),
            respondent: respondent.map(Option::unwrap_or_default),
            case_type: case_type.map(Option::unwrap_or_default),
            severity: severity?,
            confidentiality: confidentiality?,
            state: state?,
            opened_at: opened_at?,
            closed_at: closed_at.flatten(),
            due_at,
            due_reckoned: false,
            clock_paused_at: paused,
            deadline_extended: deadline_extended.flatten(),
            open_information_requests: open_questions.flatten(),
            legal_hold: legal_hold.flatten(),
            decision,
            reporter_id: reporter_id.flatten(),
            assignee_id,
            proposed_by,
            attributes,
        };
        if self.mapping.deadline_by_severity {
            record.compute_deadline(self.calendar);
        }
        agree(&record, errors);
        Some(record)
    }

    fn find(&self, row: &SourceRow, field: Field) -> Result<Found, String> {
        let Some(rule) = self.mapping.fields.get(&field) else { return Ok(Found::Unsaid) };
        if let Some(constant) = &rule.constant {
            return Ok(Found::Value(constant.clone()));
        }
        let mut found = Found::Unsaid;
        for column in &rule.columns {
            match row.cell(column) {
                Cell::Absent => {}
                Cell::Empty => found = Found::Nothing,
                Cell::Nested => return Err("must be a single value, not an array or object".to_owned()),
                Cell::Text(text) => {
                    let Some(values) = &rule.values else { return Ok(Found::Value(text.into_owned())) };
                    return values.get(text.trim()).cloned().map(Found::Value).ok_or_else(|| {
                        let shown: String = text.trim().chars().take(60).collect();
                        let mut known: Vec<_> = values.keys().map(String::as_str).collect();
                        known.sort_unstable();
                        format!("`{shown}` is unknown; the mapping knows: {}", known.join(", "))
                    });
                }
            }
        }
        Ok(rule.default.clone().map_or(found, Found::Value))
    }

    fn required<T>(
        &self,
        row: &SourceRow,
        field: Field,
        errors: &mut Vec<RowError>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let reason = match self.find(row, field) {
            Ok(Found::Value(text)) => match parse(&text) {
                Ok(value) => return Some(value),
                Err(reason) => reason,
            },
            Ok(_) => "is missing".to_owned(),
            Err(reason) => reason,
        };
        errors.push(RowError { field: field.to_string(), reason });
        None
    }

    #[allow(clippy::option_option, reason = "a field that is empty and a field that is not mentioned differ")]
    /// The outer option: whether the file says anything; the inner one: whether there is a value.
    fn optional<T>(
        &self,
        row: &SourceRow,
        field: Field,
        errors: &mut Vec<RowError>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<Option<T>> {
        let reason = match self.find(row, field) {
            Ok(Found::Value(text)) => match parse(&text) {
                Ok(value) => return Some(Some(value)),
                Err(reason) => reason,
            },
            Ok(Found::Nothing) => return Some(None),
            Ok(Found::Unsaid) => return None,
            Err(reason) => reason,
        };
        errors.push(RowError { field: field.to_string(), reason });
        None
    }

    fn date(&self, text: &str, field: Field) -> Result<OffsetDateTime, String> {
        let own = self.mapping.fields.get(&field).map_or(&[][..], |rule| &rule.formats);
        dates::parse(text.trim(), if own.is_empty() { &self.mapping.date_formats } else { own })
    }

    /// The date of something that has happened.
    fn past(&self, text: &str, field: Field) -> Result<OffsetDateTime, String> {
        let date = self.date(text, field)?;
        // A date without a time may be today's in a time zone ahead of ours.
        if date > self.now + time::Duration::DAY { Err("lies in the future".to_owned()) } else { Ok(date) }
    }

    /// The attributes, told as one field; none when neither their column nor one that counts among them is in the row.
    fn attributes(&self, row: &SourceRow, errors: &mut Vec<RowError>) -> Option<Map<String, Value>> {
        let rule = &self.mapping.attributes;
        let whole = rule.object.as_deref().is_some_and(|name| row.cell(name) != Cell::Absent);
        let told = whole || rule.rest == Rest::Attributes && row.names().any(|name| !self.mapping.knows(name));
        let mut attributes = match rule.object.as_deref().map(|name| (name, row.object(name))) {
            None => Map::new(),
            Some((_, Ok(members))) => members,
            Some((name, Err(reason))) => {
                errors.push(RowError { field: name.to_owned(), reason });
                Map::new()
            }
        };
        if rule.rest != Rest::Ignore {
            for (name, value) in row.members().filter(|(name, _)| !self.mapping.knows(name)) {
                if rule.rest == Rest::Reject {
                    let reason = "is no column that the mapping knows".to_owned();
                    errors.push(RowError { field: name.chars().take(60).collect(), reason });
                } else {
                    match typed(value, rule.types.get(name).copied()) {
                        Ok(value) => drop(attributes.insert(name.to_owned(), value)),
                        Err(reason) => errors.push(RowError { field: name.to_owned(), reason }),
                    }
                }
            }
        }
        for mistake in attribute_mistakes(&attributes) {
            let field = mistake.name.unwrap_or_else(|| "attributes".to_owned());
            errors.push(RowError { field: field.chars().take(60).collect(), reason: mistake.detail });
        }
        told.then_some(attributes)
    }
}

/// What must fit together.
fn agree(record: &ImportRecord, errors: &mut Vec<RowError>) {
    let mut object = |field: Field, reason: String| errors.push(RowError { field: field.to_string(), reason });
    match (record.state.is_terminal(), record.closed_at) {
        (true, None) => object(Field::ClosedAt, format!("is missing, but the case is {}", record.state)),
        (false, Some(_)) => object(Field::ClosedAt, format!("is given, but the case is {}", record.state)),
        (true, Some(closed)) if closed < record.opened_at => {
            object(Field::ClosedAt, format!("`{}` lies before it was opened", closed.date()));
        }
        _ => {}
    }
}

fn typed(value: Value, kind: Option<AttributeType>) -> Result<Value, String> {
    let (Value::String(text), Some(kind)) = (&value, kind) else { return Ok(value) };
    match kind {
        AttributeType::Text => Ok(value),
        AttributeType::Boolean => boolean(text).map(Value::Bool),
        AttributeType::Number => Number::from_str(text).map(Value::Number).map_err(|_| {
            let shown: String = text.chars().take(60).collect();
            format!("`{shown}` is not a number")
        }),
    }
}

fn line(text: &str, max: usize) -> Result<String, String> {
    text::line(text, max).map_err(|error| told(&error))
}

fn prose(text: &str, max: usize) -> Result<String, String> {
    text::prose(text, max).map_err(|error| told(&error))
}

fn told(error: &TextError) -> String {
    error.to_string()
}

fn named<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error: T::Err| error.to_string())
}

fn boolean(text: &str) -> Result<bool, String> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("`{}` is neither true nor false", other.chars().take(60).collect::<String>())),
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|count| *count <= 10_000)
        .ok_or_else(|| "must be a number from 0 to 10000".to_owned())
}

fn principal(text: &str) -> Result<PrincipalId, String> {
    text.trim().parse().map_err(|_| "must be the UUID of a principal".to_owned())
}
