//! The rows of a file, one after the other: split, decoded, mapped, and checked for references that came before.

use docket_domain::calendar::Calendar;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::format::{Encoding, Format};
use super::mapper::Mapper;
use super::mapping::Mapping;
use super::record::{ImportRecord, Reject, RowError};
use super::source_row::SourceRow;
use super::splitter::{CsvRecords, Damage, EXCERPT_MAX, RECORD_MAX, Record};
use super::window::Window;

/// The file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading failed.
    #[error("cannot read the file")]
    Io(#[from] io::Error),
    /// The header does not fit the mapping.
    #[error("the file does not fit the mapping `{mapping}`: {}", .misfits.join("; "))]
    Header {
        /// The mapping.
        mapping: String,
        /// What does not fit.
        misfits: Vec<String>,
    },
    /// There is no header.
    #[error("{0}")]
    NoHeader(String),
}

/// One row of the file.
#[derive(Debug)]
pub struct Row {
    /// Its line, from 1.
    pub line: u64,
    /// The byte at which the next row begins.
    pub end: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The record, or why there is none: one entry for each field that is wrong.
    pub outcome: Result<ImportRecord, Vec<Reject>>,
}

/// Reads rows.
pub struct FileRows<'m, R> {
    kind: Kind<R>,
    mapper: Mapper<'m>,
    mapping: &'m Mapping,
    encoding: Encoding,
    seen: SeenReferences,
}

enum Kind<R> {
    Csv { records: CsvRecords<R>, header: Arc<Vec<String>> },
    Jsonl(Window<R>),
}

impl<'m, R: Read> FileRows<'m, R> {
    /// Begins to read; in CSV the header is read and held against the mapping.
    pub fn open(
        source: R,
        format: Format,
        encoding: Encoding,
        mapping: &'m Mapping,
        calendar: &'m Calendar,
        now: OffsetDateTime,
    ) -> Result<Self, FileError> {
        let mut window = Window::new(source)?;
        if matches!(window.look(2)?, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
            return Err(FileError::NoHeader("the file is UTF-16; save it as UTF-8".to_owned()));
        }
        let kind = match format {
            Format::Jsonl => Kind::Jsonl(window),
            Format::Csv => {
                let mut records = CsvRecords::new(window, mapping.delimiter);
                let header = header(records.next_record()?, encoding)?;
                let misfits = mapping.misfits(&header);
                if !misfits.is_empty() {
                    return Err(FileError::Header { mapping: mapping.name.clone(), misfits });
                }
                Kind::Csv { records, header: Arc::new(header) }
            }
        };
        Ok(Self {
            kind,
            mapper: Mapper::new(mapping, calendar, now),
            mapping,
            encoding,
            seen: SeenReferences::default(),
        })
    }

    /// The next row; none at the end of the file.
    pub fn next_row(&mut self) -> io::Result<Option<Row>> {
        let record = match &mut self.kind {
            Kind::Csv { records, .. } => records.next_record()?,
            Kind::Jsonl(window) => next_line(window)?,
        };
        let Some(record) = record else { return Ok(None) };
        let (line, end, size) = (record.place.line, record.end, record.end - record.place.offset);
        let excerpt = String::from_utf8_lossy(&record.excerpt).into_owned();
        let (reference, outcome) = match self.source_row(record) {
            Ok(row) => (self.mapper.reference(&row), self.mapper.map(&row)),
            Err(error) => (String::new(), Err(vec![error])),
        };
        let outcome = outcome.and_then(|record| match self.seen.first(&record.reference, line) {
            None => Ok(record),
            Some(first) => {
                let reason = format!("stands in line {first} already");
                Err(vec![RowError { field: "reference".to_owned(), reason }])
            }
        });
        let reject = |error| Reject { line, reference: reference.clone(), error, excerpt: excerpt.clone() };
        let outcome = outcome.map_err(|errors| errors.into_iter().map(reject).collect());
        Ok(Some(Row { line, end, size, outcome }))
    }

    fn source_row(&self, record: Record) -> Result<SourceRow, RowError> {
        let whole = |reason| RowError { field: String::new(), reason };
        let fields = record.fields.map_err(|damage| whole(damage.to_string()))?;
        let encoding = self.encoding.of_row(fields.iter().map(Vec::as_slice));
        match &self.kind {
            Kind::Csv { header, .. } => {
                let decoded: Result<Vec<String>, RowError> = fields
                    .into_iter()
                    .zip(header.iter())
                    .map(|(bytes, column)| {
                        let field = || column.chars().take(60).collect();
                        encoding.decode(bytes).map_err(|reason| RowError { field: field(), reason })
                    })
                    .collect();
                let mut row = SourceRow::Cells(Arc::clone(header), decoded?);
                if self.mapping.spreadsheet_escape {
                    row.unescape();
                }
                Ok(row)
            }
            Kind::Jsonl(_) => {
                let text = encoding.decode(fields.into_iter().next().unwrap_or_default()).map_err(whole)?;
                match serde_json::from_str(&text) {
                    Ok(Value::Object(members)) => Ok(SourceRow::Object(members)),
                    Ok(_) => Err(whole(Damage::NotAnObject("another kind of JSON".to_owned()).to_string())),
                    Err(error) => Err(whole(Damage::NotAnObject(error.to_string()).to_string())),
                }
            }
        }
    }
}

fn header(record: Option<Record>, encoding: Encoding) -> Result<Vec<String>, FileError> {
    let Some(record) = record else { return Err(FileError::NoHeader("the file is empty".to_owned())) };
    let fields = record.fields.map_err(|damage| FileError::NoHeader(format!("the header is damaged: {damage}")))?;
    let encoding = encoding.of_row(fields.iter().map(Vec::as_slice));
    let decode = |bytes| encoding.decode(bytes).map(|name| name.trim().to_owned());
    let names: Result<Vec<String>, String> = fields.into_iter().map(decode).collect();
    names.map_err(|reason| FileError::NoHeader(format!("the header is damaged: {reason}")))
}

/// One line of JSON Lines as a record with a single field; blank lines are passed over.
fn next_line<R: Read>(window: &mut Window<R>) -> io::Result<Option<Record>> {
    while window.look(1)?.first().is_some_and(u8::is_ascii_whitespace) {
        window.advance(1);
    }
    if window.seen().is_empty() {
        return Ok(None);
    }
    let place = window.place();
    let mut wanted = 8 * 1024;
    let line = loop {
        window.look(wanted)?;
        let seen = window.seen();
        let bounded = &seen[..seen.len().min(RECORD_MAX)];
        match bounded.iter().position(|byte| *byte == b'\n') {
            Some(end) => break Some(bounded[..end].to_vec()),
            None if window.at_end() && bounded.len() == seen.len() => break Some(bounded.to_vec()),
            None if bounded.len() == RECORD_MAX => break None,
            None => wanted = (wanted * 4).min(RECORD_MAX),
        }
    };
    let excerpt = window.seen().iter().take(EXCERPT_MAX).copied().take_while(|byte| *byte != b'\n').collect();
    window.skip_line()?;
    let fields = line.map(|line| vec![line]).ok_or(Damage::TooLarge);
    Ok(Some(Record { place, end: window.place().offset, fields, excerpt }))
}

/// Which references came before, and in which line: a hash and a line number for each, about 25 bytes a row.
///
/// Sixty-four bits with a random key: among a million rows the chance of a false alarm is one in thirty million.
#[derive(Debug, Default)]
struct SeenReferences {
    hasher: RandomState,
    lines: HashMap<u64, u64>,
}

impl SeenReferences {
    /// Remembers the line, or answers with the line where the reference came first.
    fn first(&mut self, reference: &str, line: u64) -> Option<u64> {
        let first = *self.lines.entry(self.hasher.hash_one(reference)).or_insert(line);
        (first != line).then_some(first)
    }
}
