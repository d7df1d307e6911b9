//! Cases as an export writes them: CSV with a fixed header, or one JSON object a line with the same members.

use std::io::{self, Write};

use docket_domain::case::Case;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::escape::escape;
use super::format::Format;

/// The columns, in order. `version`, `created_at` and `updated_at` are for people; an import passes over them.
pub const COLUMNS: &[&str] = &[
    "reference",
    "state",
    "title",
    "respondent",
    "case_type",
    "severity",
    "confidentiality",
    "opened_at",
    "closed_at",
    "due_at",
    "clock_paused_at",
    "deadline_extended",
    "open_information_requests",
    "legal_hold",
    "decision",
    "reporter_id",
    "assignee_id",
    "proposed_by",
    "version",
    "created_at",
    "updated_at",
    "narrative",
    "attributes",
];

/// Writes cases to something that takes bytes.
pub enum CaseWriter<W: Write> {
    /// CSV.
    Csv(Box<csv::Writer<W>>),
    /// JSON Lines.
    Jsonl(W),
}

impl<W: Write> CaseWriter<W> {
    /// Begins; in CSV with the header.
    pub fn new(sink: W, format: Format) -> io::Result<Self> {
        match format {
            Format::Jsonl => Ok(Self::Jsonl(sink)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(sink);
                writer.write_record(COLUMNS)?;
                Ok(Self::Csv(Box::new(writer)))
            }
        }
    }

    /// Writes one case.
    pub fn write(&mut self, case: &Case) -> io::Result<()> {
        let values = values(case);
        match self {
            Self::Jsonl(sink) => {
                let members = COLUMNS.iter().map(|column| (*column).to_owned()).zip(values).collect();
                serde_json::to_writer(&mut *sink, &Value::Object(members))?;
                sink.write_all(b"\n")
            }
            Self::Csv(writer) => {
                for value in values {
                    match value {
                        Value::Null => writer.write_field(b"")?,
                        Value::String(text) => writer.write_field(escape(&text).as_bytes())?,
                        other => writer.write_field(other.to_string())?,
                    }
                }
                Ok(writer.write_record(None::<&[u8]>)?)
            }
        }
    }

    /// Hands everything on to the sink.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(writer) => writer.flush(),
            Self::Jsonl(sink) => sink.flush(),
        }
    }
}

/// The values in the order of [`COLUMNS`].
fn values(case: &Case) -> Vec<Value> {
    let date = |date: Option<OffsetDateTime>| date.and_then(|date| date.format(&Rfc3339).ok());
    vec![
        json!(case.reference),
        json!(case.state),
        json!(case.title),
        json!(case.respondent),
        json!(case.case_type),
        json!(case.severity),
        json!(case.confidentiality),
        json!(date(Some(case.opened_at))),
        json!(date(case.closed_at)),
        json!(date(case.due_at)),
        json!(date(case.clock_paused_at)),
        json!(case.deadline_extended),
        json!(case.open_information_requests),
        json!(case.legal_hold),
        json!(case.decision),
        json!(case.reporter_id),
        json!(case.assignee_id),
        json!(case.proposed_by),
        json!(case.version),
        json!(date(Some(case.created_at))),
        json!(date(Some(case.updated_at))),
        json!(case.narrative),
        Value::Object(case.attributes.clone()),
    ]
}
