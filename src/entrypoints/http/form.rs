//! Reading a JSON object member by member, collecting every mistake with its pointer instead of stopping at the first.

use docket_domain::pointer;
use docket_domain::text::{self, TextError};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::application::error::Invalid;

/// A JSON object being read. Members are taken out by name; what is left at the end is unknown and therefore a mistake.
pub struct Form {
    members: Map<String, Value>,
    errors: Vec<Invalid>,
}

impl Form {
    /// Begins reading; anything but an object is one mistake at the root.
    pub fn new(body: Value) -> Self {
        match body {
            Value::Object(members) => Self { members, errors: Vec::new() },
            other => Self {
                members: Map::new(),
                errors: vec![Invalid::new("", format!("must be a JSON object, not {}", kind(&other)))],
            },
        }
    }

    /// Whether the member is there (null counts).
    pub fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// Whether the member is there and not null.
    pub fn has_value(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a member out unread.
    pub fn take(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// Notes a mistake at a member.
    pub fn error(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(Invalid::new(format!("/{name}"), detail));
    }

    /// One line of text that must be there and not be empty.
    pub fn required_line(&mut self, name: &str, max: usize) -> Option<String> {
        let raw = self.required_string(name)?;
        self.checked(name, text::required_line(&raw, max))
    }

    /// One line of text; absent and null mean none.
    pub fn line(&mut self, name: &str, max: usize) -> Option<String> {
        let raw = self.string(name)?;
        self.checked(name, text::line(&raw, max))
    }

    /// One line of text that is not empty; absent and null mean none.
    pub fn filled_line(&mut self, name: &str, max: usize) -> Option<String> {
        let raw = self.string(name)?;
        self.checked(name, text::required_line(&raw, max))
    }

    /// A whole number of a range; absent and null mean none.
    pub fn whole_number(&mut self, name: &str, min: u64, max: u64) -> Option<u64> {
        let value = self.members.remove(name).filter(|value| !value.is_null())?;
        let found = value.as_u64().filter(|number| (min..=max).contains(number));
        if found.is_none() {
            self.error(name, format!("must be a whole number from {min} to {max}"));
        }
        found
    }

    /// Prose; absent and null mean none.
    pub fn prose(&mut self, name: &str, max: usize) -> Option<String> {
        let raw = self.string(name)?;
        self.checked(name, text::prose(&raw, max))
    }

    /// Prose that must be there and not be empty.
    pub fn required_prose(&mut self, name: &str, max: usize) -> Option<String> {
        let raw = self.required_string(name)?;
        self.checked(name, text::required_prose(&raw, max))
    }

    /// One of a set of names; absent and null mean none.
    pub fn name<T>(&mut self, name: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let raw = self.string(name)?;
        self.parsed(name, raw.parse())
    }

    /// An identifier that must be there.
    pub fn required_uuid(&mut self, name: &str) -> Option<Uuid> {
        let raw = self.required_string(name)?;
        self.parsed(name, Uuid::parse_str(&raw).map_err(|_| "must be a UUID"))
    }

    /// An identifier; absent and null mean none.
    pub fn uuid(&mut self, name: &str) -> Option<Uuid> {
        let raw = self.string(name)?;
        self.parsed(name, Uuid::parse_str(&raw).map_err(|_| "must be a UUID"))
    }

    /// An instant that must be there, RFC 3339 with offset, between the years 1900 and 9999.
    pub fn required_instant(&mut self, name: &str) -> Option<OffsetDateTime> {
        let raw = self.required_string(name)?;
        let parsed = parse_instant(&raw);
        self.parsed(name, parsed)
    }

    /// An instant; absent and null mean none.
    pub fn instant(&mut self, name: &str) -> Option<OffsetDateTime> {
        let raw = self.string(name)?;
        let parsed = parse_instant(&raw);
        self.parsed(name, parsed)
    }

    /// True or false; absent and null mean none.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::Bool(value) => Some(value),
            other => self.wrong_type(name, "true or false", &other),
        }
    }

    /// A list of names from a set; absent and null mean none.
    pub fn names(&mut self, name: &str) -> Option<Vec<String>> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::Array(items) if items.iter().all(Value::is_string) && items.len() <= 16 => {
                Some(items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
            }
            Value::Array(_) => {
                self.error(name, "must hold at most 16 strings and nothing else");
                None
            }
            other => self.wrong_type(name, "an array of strings", &other),
        }
    }

    /// An array that must be there, of at most `max` items.
    pub fn required_array(&mut self, name: &str, max: usize) -> Option<Vec<Value>> {
        match self.members.remove(name) {
            None | Some(Value::Null) => {
                self.error(name, "is required");
                None
            }
            Some(Value::Array(items)) if items.len() <= max => Some(items),
            Some(Value::Array(_)) => {
                self.error(name, format!("must hold at most {max} items"));
                None
            }
            Some(other) => self.wrong_type(name, "an array", &other),
        }
    }

    /// Further fields: a flat object of at most 64 members and 16 KiB; absent and null mean none.
    pub fn attributes(&mut self, name: &str) -> Option<Map<String, Value>> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::Object(members) => {
                let mistakes = attribute_mistakes(name, &members);
                let fine = mistakes.is_empty();
                self.errors.extend(mistakes);
                fine.then_some(members)
            }
            other => self.wrong_type(name, "an object", &other),
        }
    }

    /// Ends reading: members that nobody took are mistakes; `allowed` is told to the client.
    pub fn finish(mut self, allowed: &str) -> Result<(), Vec<Invalid>> {
        for name in self.members.keys() {
            let shown: String = name.chars().take(60).collect();
            let detail = format!("`{shown}` is not a member here; allowed: {allowed}");
            self.errors.push(Invalid::new(pointer::step(name), detail));
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }

    fn string(&mut self, name: &str) -> Option<String> {
        match self.members.remove(name)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => self.wrong_type(name, "a string", &other),
        }
    }

    fn required_string(&mut self, name: &str) -> Option<String> {
        match self.members.get(name) {
            None | Some(Value::Null) => {
                self.members.remove(name);
                self.error(name, "is required");
                None
            }
            Some(_) => self.string(name),
        }
    }

    fn checked(&mut self, name: &str, result: Result<String, TextError>) -> Option<String> {
        self.parsed(name, result)
    }

    fn parsed<T, E: std::fmt::Display>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.error(name, error.to_string())).ok()
    }

    fn wrong_type<T>(&mut self, name: &str, wanted: &str, found: &Value) -> Option<T> {
        self.error(name, format!("must be {wanted}, not {}", kind(found)));
        None
    }
}

/// Parses an RFC 3339 instant and brings it to UTC with microsecond precision.
pub fn parse_instant(text: &str) -> Result<OffsetDateTime, &'static str> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "must be an RFC 3339 date and time with offset, for instance 2026-11-21T09:30:00Z")?;
    let utc = parsed.checked_to_offset(time::UtcOffset::UTC).ok_or("lies outside the calendar")?;
    if !(1900..=9999).contains(&utc.year()) {
        return Err("must lie between the years 1900 and 9999");
    }
    utc.replace_microsecond(utc.microsecond()).map_err(|_| "lies outside the calendar")
}

fn attribute_mistakes(name: &str, members: &Map<String, Value>) -> Vec<Invalid> {
    let place =
        |member: Option<String>| pointer::step(name) + &member.as_deref().map(pointer::step).unwrap_or_default();
    let mistakes = docket_domain::case::attributes::attribute_mistakes(members);
    mistakes.into_iter().map(|mistake| Invalid::new(place(mistake.name), mistake.detail)).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_pointer() {
        let mut form = Form::new(json!({"title": 5, "severity": "huge", "extra/x": 1, "due": "tomorrow"}));
        assert_eq!(form.required_line("title", 10), None);
        assert_eq!(form.name::<docket_domain::case::Severity>("severity"), None);
        assert_eq!(form.instant("due"), None);
        assert_eq!(form.required_uuid("id"), None);
        let errors = form.finish("title, severity").expect_err("mistakes");
        let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/title", "/severity", "/due", "/id", "/extra~1x"]);
    }

    #[test]
    fn a_body_that_is_no_object_is_one_mistake_at_the_root() {
        let errors = Form::new(json!([1])).finish("title").expect_err("mistake");
        assert_eq!(errors, [Invalid::new("", "must be a JSON object, not an array")]);
    }

    #[test]
    fn attributes_are_flat_and_bounded() {
        let mut form = Form::new(json!({"attributes": {"ok": 1, "deep": {"x": 1}, "bad\u{0}": 1}}));
        assert_eq!(form.attributes("attributes"), None);
        assert_eq!(form.finish("attributes").expect_err("two mistakes").len(), 2);
        let many: Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(attribute_mistakes("attributes", &many).len(), 1);
    }

    #[test]
    fn instants_come_in_any_offset_and_leave_in_utc() {
        assert_eq!(
            parse_instant("2026-11-21T10:00:00.123456789+01:00").map(|at| at.to_string()),
            Ok("2026-11-21 9:00:00.123456 +00:00:00".to_owned())
        );
        assert!(parse_instant("1000-01-01T00:00:00Z").is_err());
        assert!(parse_instant("2026-11-21").is_err());
    }
}
