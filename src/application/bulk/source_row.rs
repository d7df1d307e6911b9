//! One row of a file before it means anything: named cells, from CSV or from a JSON object.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::escape::unescape;

/// What a row has under a name.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'r> {
    /// The file has no such column, the object no such member.
    Absent,
    /// Nothing: an empty text or null.
    Empty,
    /// Text, or a number or boolean as text.
    Text(Cow<'r, str>),
    /// An array or object where a single value should be.
    Nested,
}

/// One row.
#[derive(Debug, Clone)]
pub enum SourceRow {
    /// From CSV: the header and the cells in its order.
    Cells(Arc<Vec<String>>, Vec<String>),
    /// From JSON Lines.
    Object(Map<String, Value>),
}

impl SourceRow {
    /// What stands under `name`.
    pub fn cell(&self, name: &str) -> Cell<'_> {
        match self {
            Self::Cells(header, cells) => {
                let position = header.iter().position(|column| column == name);
                match position.and_then(|position| cells.get(position)) {
                    None => Cell::Absent,
                    Some(text) if text.trim().is_empty() => Cell::Empty,
                    Some(text) => Cell::Text(Cow::Borrowed(text)),
                }
            }
            Self::Object(members) => match members.get(name) {
                None => Cell::Absent,
                Some(Value::Null) => Cell::Empty,
                Some(Value::String(text)) if text.trim().is_empty() => Cell::Empty,
                Some(Value::String(text)) => Cell::Text(Cow::Borrowed(text)),
                Some(Value::Array(_) | Value::Object(_)) => Cell::Nested,
                Some(other) => Cell::Text(Cow::Owned(other.to_string())),
            },
        }
    }

    /// The JSON object under `name`: itself in JSON Lines, written as text in CSV.
    pub fn object(&self, name: &str) -> Result<Map<String, Value>, String> {
        let parsed = match self {
            Self::Object(members) => members.get(name).cloned().unwrap_or(Value::Null),
            Self::Cells(..) => match self.cell(name) {
                Cell::Text(text) => serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))?,
                _ => Value::Null,
            },
        };
        match parsed {
            Value::Null => Ok(Map::new()),
            Value::Object(members) => Ok(members),
            _ => Err("must be a JSON object".to_owned()),
        }
    }

    /// Every name, whether or not it has a value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (header, members) = match self {
            Self::Cells(header, _) => (Some(header.iter()), None),
            Self::Object(members) => (None, Some(members.keys())),
        };
        header.into_iter().flatten().chain(members.into_iter().flatten()).map(String::as_str)
    }

    /// Every name that has a value, with it.
    pub fn members(&self) -> impl Iterator<Item = (&str, Value)> {
        let cells = match self {
            Self::Cells(header, cells) => Some(header.iter().zip(cells)),
            Self::Object(_) => None,
        };
        let members = match self {
            Self::Cells(..) => None,
            Self::Object(members) => Some(members.iter()),
        };
        let cells = cells.into_iter().flatten().filter(|(_, text)| !text.trim().is_empty());
        let members = members.into_iter().flatten().filter(|(_, value)| !value.is_null());
        cells
            .map(|(name, text)| (name.as_str(), Value::String(text.trim().to_owned())))
            .chain(members.map(|(name, value)| (name.as_str(), value.clone())))
    }

    /// Takes the protection against spreadsheets off every cell; JSON has none.
    pub fn unescape(&mut self) {
        if let Self::Cells(_, cells) = self {
            for cell in cells.iter_mut().filter(|cell| cell.starts_with('\'')) {
                *cell = unescape(cell).to_owned();
            }
        }
    }
}
