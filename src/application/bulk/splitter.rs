//! Splits CSV (RFC 4180) into records, and stays calm when quotes are cut or a field is enormous.
//!
//! A record may span lines inside quotes, so a single missing quote could swallow the rest of the file. Three bounds keep
//! it from that: a record has at most [`RECORD_MAX`] bytes; a closing quote must be followed by a delimiter or the end of
//! the line; and a record that spans lines must have the header's number of fields. When one of them is broken, the
//! record is reported and reading goes on at the next line that is a well-formed record by itself.

use std::io::{self, Read};
use std::ops::Range;

use super::window::{Place, Window, line_ends};

/// Greatest size of one record, in bytes.
pub const RECORD_MAX: usize = 1024 * 1024;

/// How far ahead a line is read to see whether a record begins there, in bytes.
const PROBE_MAX: usize = 64 * 1024;

/// Why a stretch of the file is no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A quote was opened and not closed.
    #[error("a quote is opened and never closed")]
    OpenQuote,
    /// Text follows a closing quote.
    #[error("text follows a closing quote: a quote inside a quoted field must be doubled, or one is missing")]
    TextAfterQuote,
    /// The record has too many bytes.
    #[error("the record is larger than {RECORD_MAX} bytes")]
    TooLarge,
    /// The record has another number of fields than the header.
    #[error("has {found} fields; the header has {expected}")]
    FieldCount {
        /// Fields found.
        found: usize,
        /// Fields of the header.
        expected: usize,
    },
    /// A line of JSON Lines is no JSON object.
    #[error("is not a JSON object: {0}")]
    NotAnObject(String),
}

/// One record, or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where it begins.
    pub place: Place,
    /// Where the next one begins.
    pub end: u64,
    /// Its fields, unquoted, as bytes; or why there are none.
    pub fields: Result<Vec<Vec<u8>>, Damage>,
    /// The first bytes as they stand in the file, for the report.
    pub excerpt: Vec<u8>,
}

/// The longest excerpt, in bytes.
pub const EXCERPT_MAX: usize = 300;

/// Reads records one after the other.
#[derive(Debug)]
pub struct CsvRecords<R> {
    window: Window<R>,
    delimiter: u8,
    expected: Option<usize>,
}

impl<R: Read> CsvRecords<R> {
    /// Records separated by `delimiter`; the first one sets the number of fields that all must have.
    pub fn new(window: Window<R>, delimiter: u8) -> Self {
        Self { window, delimiter, expected: None }
    }

    /// The next record; blank lines are passed over; none at the end of the file.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        while self.window.look(2)?.first().is_some_and(|byte| *byte == b'\n' || *byte == b'\r') {
            self.window.advance(1);
        }
        if self.window.seen().is_empty() {
            return Ok(None);
        }
        let place = self.window.place();
        let excerpt = self.window.seen().iter().take(EXCERPT_MAX).copied().take_while(|byte| *byte != b'\n').collect();
        let scan = self.scan(RECORD_MAX)?;
        let fields = match scan.outcome {
            Ok(()) if self.expected.is_none_or(|expected| expected == scan.fields.len()) => {
                let fields = self.unquote(&scan.fields);
                self.expected.get_or_insert(fields.len());
                self.window.advance(scan.end);
                Ok(fields)
            }
            Ok(()) if scan.lines <= 1 => {
                let damage = self.wrong_count(scan.fields.len());
                self.window.advance(scan.end);
                Err(damage)
            }
            Ok(()) => self.resynchronise(self.wrong_count(scan.fields.len())).map(Err)?,
            Err(damage) => self.resynchronise(damage).map(Err)?,
        };
        Ok(Some(Record { place, end: self.window.place().offset, fields, excerpt }))
    }

    fn wrong_count(&self, found: usize) -> Damage {
        Damage::FieldCount { found, expected: self.expected.unwrap_or(found) }
    }

    /// Goes on to the next line at which a record with the right number of fields begins.
    fn resynchronise(&mut self, damage: Damage) -> io::Result<Damage> {
        loop {
            self.window.skip_line()?;
            if self.window.look(1)?.is_empty() || self.expected.is_none() {
                return Ok(damage);
            }
            let probe = self.scan(PROBE_MAX)?;
            if probe.outcome.is_ok() && Some(probe.fields.len()) == self.expected {
                return Ok(damage);
            }
        }
    }

    fn unquote(&self, fields: &[Field]) -> Vec<Vec<u8>> {
        let seen = self.window.seen();
        fields.iter().map(|field| field.value(seen)).collect()
    }

    /// Reads the record that begins here without moving, looking at no more than `limit` bytes.
    fn scan(&mut self, limit: usize) -> io::Result<Scan> {
        let mut wanted = limit.min(8 * 1024);
        loop {
            self.window.look(wanted)?;
            let (seen, at_end) = (self.window.seen(), self.window.at_end());
            let bounded = &seen[..seen.len().min(limit)];
            let whole_rest = at_end && bounded.len() == seen.len();
            if let Some(scan) = scan(bounded, self.delimiter, whole_rest) {
                return Ok(scan);
            }
            if bounded.len() >= limit {
                return Ok(Scan { fields: Vec::new(), end: 0, lines: 0, outcome: Err(Damage::TooLarge) });
            }
            // The cost of beginning anew stays in proportion, because what is looked at grows fourfold.
            wanted = (bounded.len() * 4).clamp(wanted, limit);
        }
    }
}

/// A field as it stands in the bytes.
#[derive(Debug, Clone)]
struct Field {
    /// Its content, without the outer quotes.
    content: Range<usize>,
    /// Whether it holds doubled quotes.
    doubled: bool,
}

impl Field {
    fn value(&self, bytes: &[u8]) -> Vec<u8> {
        let content = &bytes[self.content.clone()];
        if !self.doubled {
            return content.to_vec();
        }
        let mut value = Vec::with_capacity(content.len());
        let mut quote_before = false;
        for byte in content {
            quote_before = *byte == b'"' && !quote_before;
            if !quote_before {
                value.push(*byte);
            }
        }
        value
    }
}

/// What was found where a record should begin.
#[derive(Debug)]
struct Scan {
    fields: Vec<Field>,
    /// Behind its line end.
    end: usize,
    /// The lines that it covers.
    lines: u64,
    outcome: Result<(), Damage>,
}

/// Reads one record; none when its end is not in `bytes` and `at_end` does not say that nothing more comes.
fn scan(bytes: &[u8], delimiter: u8, at_end: bool) -> Option<Scan> {
    let mut fields = Vec::new();
    let mut lines = 1;
    let mut at = 0;
    let damaged = |damage| Some(Scan { fields: Vec::new(), end: 0, lines: 0, outcome: Err(damage) });
    loop {
        let field = if bytes.get(at) == Some(&b'"') {
            let from = at + 1;
            let mut doubled = false;
            at = from;
            loop {
                let Some(quote) = bytes[at..].iter().position(|byte| *byte == b'"').map(|position| at + position)
                else {
                    return if at_end { damaged(Damage::OpenQuote) } else { None };
                };
                lines += line_ends(&bytes[at..quote]);
                at = quote + 1;
                match bytes.get(at) {
                    Some(b'"') => {
                        doubled = true;
                        at += 1;
                    }
                    None if !at_end => return None,
                    _ => break,
                }
            }
            Field { content: from..at - 1, doubled }
        } else {
            let ends = |byte: &u8| *byte == delimiter || *byte == b'\n' || *byte == b'\r';
            let length = bytes[at..].iter().position(ends);
            if length.is_none() && !at_end {
                return None;
            }
            let from = at;
            at = length.map_or(bytes.len(), |length| at + length);
            Field { content: from..at, doubled: false }
        };
        fields.push(field);
        let end = match bytes.get(at) {
            Some(byte) if *byte == delimiter => {
                at += 1;
                continue;
            }
            Some(b'\n') => at + 1,
            Some(b'\r') => match bytes.get(at + 1) {
                Some(b'\n') => at + 2,
                None if !at_end => return None,
                _ => at + 1,
            },
            None if at_end => at,
            None => return None,
            Some(_) => return damaged(Damage::TextAfterQuote),
        };
        return Some(Scan { fields, end, lines, outcome: Ok(()) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(bytes: &[u8]) -> Vec<(u64, Result<Vec<String>, Damage>)> {
        let mut records = CsvRecords::new(Window::new(bytes).expect("reads"), b',');
        let mut found = Vec::new();
        while let Some(record) = records.next_record().expect("reads") {
            let text = |field: Vec<u8>| String::from_utf8_lossy(&field).into_owned();
            found.push((record.place.line, record.fields.map(|fields| fields.into_iter().map(text).collect())));
        }
        found
    }

    fn good(bytes: &[u8]) -> Vec<(u64, Vec<String>)> {
        records(bytes).into_iter().filter_map(|(line, fields)| Some((line, fields.ok()?))).collect()
    }

    #[test]
    fn quotes_line_ends_and_blank_lines_are_read_as_rfc_4180_says() {
        let found = good(b"a,b\r\n\"x \"\"y\"\"\",\"two\nlines\"\n\n,\r\nlast,\"\"");
        let rows: Vec<_> = found.iter().map(|(line, fields)| (*line, fields.join("|"))).collect();
        let expected = [(1, "a|b"), (2, "x \"y\"|two\nlines"), (5, "|"), (6, "last|")];
        assert_eq!(rows, expected.map(|(line, fields)| (line, fields.to_owned())));
    }

    #[test]
    fn a_missing_closing_quote_costs_one_record() {
        let found = records(b"id,text\n1,fine\n2,\"cut\n3,\"quoted, too\"\n4,fine\n");
        let lines: Vec<_> = found.iter().map(|(line, fields)| (*line, fields.is_ok())).collect();
        assert_eq!(lines, [(1, true), (2, true), (3, false), (4, true), (5, true)]);
        assert_eq!(found[2].1, Err(Damage::TextAfterQuote));
        // The last quote of the file is the missing one.
        let found = records(b"id,text\n1,\"cut\n2,fine\n");
        assert_eq!(found[1], (2, Err(Damage::OpenQuote)));
        assert_eq!(found[2].0, 3);
    }

    #[test]
    fn a_quote_that_closes_lines_later_is_caught_by_the_number_of_fields() {
        let found = records(b"id,text\n1,\"cut\n2,\"\"\n3,\"\"\n4,x\n");
        let lines: Vec<_> = found.iter().map(|(line, fields)| (*line, fields.is_ok())).collect();
        assert!(lines.contains(&(2, false)) && lines.contains(&(3, true)) && lines.contains(&(5, true)), "{found:?}");
    }

    #[test]
    fn a_field_of_ten_megabytes_costs_one_record_and_little_memory() {
        for filler in ["x", "line\n"] {
            let mut bytes = b"id,text\n1,\"".to_vec();
            bytes.extend(filler.repeat(10_000_000 / filler.len()).bytes());
            bytes.extend(b"\"\n2,fine\n");
            let found = records(&bytes);
            assert_eq!(found.len(), 3, "{:?}", &found[..3]);
            assert_eq!(found[1], (2, Err(Damage::TooLarge)));
            assert_eq!(found[2].1, Ok(vec!["2".to_owned(), "fine".to_owned()]));
        }
    }

    #[test]
    fn missing_and_surplus_fields_are_counted() {
        let found = records(b"a,b,c\n1,2\n1,2,3,4\n1,2,3\n");
        assert_eq!(found[1].1, Err(Damage::FieldCount { found: 2, expected: 3 }));
        assert_eq!(found[2].1, Err(Damage::FieldCount { found: 4, expected: 3 }));
        assert!(found[3].1.is_ok());
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(rows in prop::collection::vec(prop::array::uniform3("[ -~\n\"é,]{0,12}"), 1..12)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("writes");
            }
            let bytes = writer.into_inner().expect("flushes");
            let found: Vec<_> = good(&bytes).into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(found, rows.into_iter().map(|row| row.to_vec()).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic_or_stand_still(bytes in prop::collection::vec(prop::sample::select(b"a,\"\n\r\xff".to_vec()), 0..200)) {
            prop_assert!(records(&bytes).len() <= bytes.len());
        }
    }
}
