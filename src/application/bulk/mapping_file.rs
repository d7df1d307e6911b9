//! Reads a mapping file (TOML); a mistake in it is told with its key and line.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use docket_domain::case::{Confidentiality, Severity, State};
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::dates::DateFormat;
use super::mapping::{AttributeRule, AttributeType, FIELDS, Field, FieldRule, Mapping, Rest};
use super::window::line_ends;

/// The mapping of our own export.
pub const DOCKET: &str = include_str!("../../../mappings/docket.toml");

/// A mistake in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {key}: {detail}")]
pub struct MappingError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The key, with dots.
    pub key: String,
    /// What was wrong and what is allowed.
    pub detail: String,
}

/// The mapping that `text`, read from `file`, describes.
pub fn parse(file: &str, text: &str) -> Result<Mapping, MappingError> {
    let reader = Reader { file, text };
    let root = DeTable::parse(text).map_err(|error| {
        let at = error.span().unwrap_or(0..0);
        reader.error(&at, "TOML", error.message())
    })?;
    reader.mapping(root.get_ref())
}

type Value<'t> = Spanned<DeValue<'t>>;

struct Reader<'t> {
    file: &'t str,
    text: &'t str,
}

impl Reader<'_> {
    fn mapping(&self, root: &DeTable<'_>) -> Result<Mapping, MappingError> {
        let mut mapping = Mapping {
            name: self.file.to_owned(),
            digest: Sha256::digest(self.text.as_bytes()).into(),
            delimiter: b',',
            date_formats: Vec::new(),
            spreadsheet_escape: false,
            deadline_by_severity: false,
            fields: HashMap::new(),
            attributes: AttributeRule {
                object: None,
                rest: Rest::Attributes,
                ignore: Vec::new(),
                types: HashMap::new(),
            },
        };
        for (key, value) in root {
            match key.get_ref().as_ref() {
                "name" => self.string("name", value)?.clone_into(&mut mapping.name),
                "delimiter" => mapping.delimiter = self.delimiter(value)?,
                "date_formats" => mapping.date_formats = self.formats("date_formats", value)?,
                "spreadsheet_escape" => mapping.spreadsheet_escape = self.boolean("spreadsheet_escape", value)?,
                "deadline_by_severity" => mapping.deadline_by_severity = self.boolean("deadline_by_severity", value)?,
                "fields" => mapping.fields = self.fields(value)?,
                "attributes" => mapping.attributes = self.attributes(value)?,
                other => {
                    return Err(self.error(
                        &key.span(),
                        other,
                        "is no key of a mapping; there are name, delimiter, date_formats, spreadsheet_escape, \
                         deadline_by_severity, fields and attributes",
                    ));
                }
            }
        }
        if mapping.date_formats.is_empty() {
            mapping.date_formats.extend(DateFormat::named("rfc3339"));
            mapping.date_formats.extend(DateFormat::named("%Y-%m-%d"));
        }
        for (field, required) in FIELDS {
            if *required && !mapping.fields.contains_key(field) {
                let at = root.get("fields").map_or(0..0, Spanned::span);
                return Err(self.error(&at, &format!("fields.{field}"), "is missing: every case needs it"));
            }
        }
        Ok(mapping)
    }

    fn fields(&self, value: &Value<'_>) -> Result<HashMap<Field, FieldRule>, MappingError> {
        let mut fields = HashMap::new();
        for (name, value) in self.table("fields", value)? {
            let key = format!("fields.{}", name.get_ref());
            let field = self.named::<Field>(&key, &name.span(), name.get_ref())?;
            fields.insert(field, self.field(&key, field, value)?);
        }
        Ok(fields)
    }

    /// `"column"`, or a table of column(s), constant, default, values and formats.
    fn field(&self, key: &str, field: Field, value: &Value<'_>) -> Result<FieldRule, MappingError> {
        let mut rule = FieldRule::default();
        if let Some(column) = value.get_ref().as_str() {
            rule.columns.push(column.to_owned());
            return Ok(rule);
        }
        for (name, value) in self.table(key, value)? {
            let member = format!("{key}.{}", name.get_ref());
            match name.get_ref().as_ref() {
                "column" => rule.columns = vec![self.string(&member, value)?.to_owned()],
                "columns" => rule.columns = self.strings(&member, value)?,
                "constant" => rule.constant = Some(self.field_value(&member, field, value)?),
                "default" => rule.default = Some(self.field_value(&member, field, value)?),
                "formats" => rule.formats = self.formats(&member, value)?,
                "values" => {
                    let mut values = HashMap::new();
                    for (from, to) in self.table(&member, value)? {
                        let deeper = format!("{member}.{}", from.get_ref());
                        values.insert(from.get_ref().to_string(), self.field_value(&deeper, field, to)?);
                    }
                    rule.values = Some(values);
                }
                _ => {
                    let allowed = "is no key of a field; there are column, columns, constant, default, values, formats";
                    return Err(self.error(&name.span(), &member, allowed));
                }
            }
        }
        if rule.columns.is_empty() && rule.constant.is_none() {
            return Err(self.error(&value.span(), key, "needs a column or a constant"));
        }
        Ok(rule)
    }

    fn attributes(&self, value: &Value<'_>) -> Result<AttributeRule, MappingError> {
        let mut rule =
            AttributeRule { object: None, rest: Rest::Attributes, ignore: Vec::new(), types: HashMap::new() };
        for (name, value) in self.table("attributes", value)? {
            let key = format!("attributes.{}", name.get_ref());
            match name.get_ref().as_ref() {
                "object" => rule.object = Some(self.string(&key, value)?.to_owned()),
                "rest" => rule.rest = self.named(&key, &value.span(), self.string(&key, value)?)?,
                "ignore" => rule.ignore = self.strings(&key, value)?,
                "types" => {
                    for (column, kind) in self.table(&key, value)? {
                        let deeper = format!("{key}.{}", column.get_ref());
                        let kind = self.named::<AttributeType>(&deeper, &kind.span(), self.string(&deeper, kind)?)?;
                        rule.types.insert(column.get_ref().to_string(), kind);
                    }
                }
                _ => {
                    let allowed = "is no key of attributes; there are object, rest, ignore and types";
                    return Err(self.error(&name.span(), &key, allowed));
                }
            }
        }
        Ok(rule)
    }

    /// A value that the mapping gives to a field: names of states and the like are checked at once.
    fn field_value(&self, key: &str, field: Field, value: &Value<'_>) -> Result<String, MappingError> {
        let text = self.string(key, value)?;
        match field {
            Field::State => self.named::<State>(key, &value.span(), text).map(drop)?,
            Field::Severity => self.named::<Severity>(key, &value.span(), text).map(drop)?,
            Field::Confidentiality => self.named::<Confidentiality>(key, &value.span(), text).map(drop)?,
            _ => {}
        }
        Ok(text.to_owned())
    }

    fn delimiter(&self, value: &Value<'_>) -> Result<u8, MappingError> {
        match self.string("delimiter", value)?.as_bytes() {
            [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
            _ => Err(self.error(&value.span(), "delimiter", "must be one ASCII character such as `,` or `;`")),
        }
    }

    fn formats(&self, key: &str, value: &Value<'_>) -> Result<Vec<DateFormat>, MappingError> {
        let names = self.strings(key, value)?;
        names
            .iter()
            .map(|name| DateFormat::named(name).map_err(|detail| self.error(&value.span(), key, &detail)))
            .collect()
    }

    fn named<T: FromStr<Err: Display>>(&self, key: &str, at: &Range<usize>, text: &str) -> Result<T, MappingError> {
        text.parse().map_err(|error: T::Err| self.error(at, key, &error.to_string()))
    }

    fn table<'v, 't>(&self, key: &str, value: &'v Value<'t>) -> Result<&'v DeTable<'t>, MappingError> {
        value.get_ref().as_table().ok_or_else(|| self.wrong_type(key, value, "a table"))
    }

    fn string<'v>(&self, key: &str, value: &'v Value<'_>) -> Result<&'v str, MappingError> {
        value.get_ref().as_str().ok_or_else(|| self.wrong_type(key, value, "a string"))
    }

    fn boolean(&self, key: &str, value: &Value<'_>) -> Result<bool, MappingError> {
        value.get_ref().as_bool().ok_or_else(|| self.wrong_type(key, value, "true or false"))
    }

    fn strings(&self, key: &str, value: &Value<'_>) -> Result<Vec<String>, MappingError> {
        let list = value.get_ref().as_array().ok_or_else(|| self.wrong_type(key, value, "a list of strings"))?;
        list.iter().map(|item| self.string(key, item).map(str::to_owned)).collect()
    }

    fn wrong_type(&self, key: &str, value: &Value<'_>, wanted: &str) -> MappingError {
        self.error(&value.span(), key, &format!("must be {wanted}, not a {}", value.get_ref().type_str()))
    }

    fn error(&self, at: &Range<usize>, key: &str, detail: &str) -> MappingError {
        let before = self.text.as_bytes().get(..at.start).unwrap_or_default();
        let line = 1 + line_ends(before);
        MappingError { file: self.file.to_owned(), line, key: key.to_owned(), detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(find: &str, replace: &str) -> String {
        let text = include_str!("../../../mappings/phmsa.toml");
        assert!(text.contains(find), "{find}");
        parse("m.toml", &text.replacen(find, replace, 1)).expect_err("a mistake").to_string()
    }

    #[test]
    fn the_shipped_mappings_are_sound() {
        for text in [DOCKET, include_str!("../../../mappings/phmsa.toml")] {
            let mapping = parse("shipped", text).expect("sound");
            assert!(!mapping.fields.is_empty());
        }
    }

    #[test]
    fn mistakes_are_told_with_key_and_line() {
        let error = mistake("closed = \"closed\"", "closed = \"done\"");
        assert!(
            error.starts_with("m.toml:") && error.contains("fields.state.values.closed: `done` is not a state"),
            "{error}"
        );
        assert!(
            mistake("reference = ", "referense = ").contains("fields.referense: `referense` is not a field of a case")
        );
        assert!(mistake("name = ", "nane = ").contains(": nane: is no key of a mapping"));
        assert!(mistake("reference = \"case_id\"", "reference = 5").contains("fields.reference: must be a table"));
        assert!(mistake("reference = \"case_id\"", "").contains("fields.reference: is missing"));
        assert!(mistake("rest = \"attributes\"", "rest = \"keep\"").contains("attributes.rest: `keep` is not a"));
        assert!(mistake("%Y-%m-%d", "YYYY").contains("date_formats: `YYYY` is no date format"));
        assert!(mistake("[fields]", "[fields").contains("TOML"));
    }
}
