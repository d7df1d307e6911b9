//! What is wrong with a configuration: every mistake at once, each with key, value, origin and allowed range.

use std::fmt;

use super::sections::settings;
use super::setting::Setting;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// A value of the wrong type or out of range.
    Value {
        /// The dotted key.
        key: String,
        /// The value as shown to people; secrets masked.
        value: String,
        /// Where it came from.
        origin: String,
        /// What would be allowed.
        allowed: String,
    },
    /// A key that does not exist.
    UnknownKey {
        /// The key or variable as the user wrote it.
        key: String,
        /// Where it was found.
        origin: String,
        /// The most similar key that exists, if one is near.
        suggestion: Option<String>,
    },
    /// A file that cannot be read or is not TOML.
    File {
        /// Which file.
        path: String,
        /// Why not.
        reason: String,
    },
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { key, value, origin, allowed } => {
                write!(f, "{key} = {value} (from {origin}): allowed is {allowed}")
            }
            Self::UnknownKey { key, origin, suggestion: Some(near) } => {
                write!(f, "unknown setting {key} (from {origin}): did you mean {near}?")
            }
            Self::UnknownKey { key, origin, suggestion: None } => write!(f, "unknown setting {key} (from {origin})"),
            Self::File { path, reason } => write!(f, "cannot read {path}: {reason}"),
        }
    }
}

/// All mistakes of one configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Invalid>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                write!(f, "{} settings are not valid", many.len())?;
                many.iter().try_for_each(|invalid| write!(f, "\n  {invalid}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// The existing key most similar to `key`, if it is near enough to be what was meant.
pub(super) fn nearest_key(key: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |other: &str| {
        let whole = edit_distance(key, other);
        // The right name in the wrong section is a near miss, too.
        if last(key) == last(other) { whole.min(2) } else { whole }
    };
    let (best, near) = settings().map(Setting::key).map(|other| (distance(&other), other)).min()?;
    (best <= 1 + key.len() / 5).then_some(near)
}

/// Levenshtein distance: how many letters must be inserted, deleted or replaced.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_key() {
        assert_eq!(nearest_key("server.bnd").as_deref(), Some("server.bind"));
        assert_eq!(nearest_key("database.statment_timeout_ms").as_deref(), Some("database.statement_timeout_ms"));
        assert_eq!(nearest_key("limits.bind").as_deref(), Some("server.bind"));
        assert_eq!(nearest_key("weather.tomorrow"), None);
    }
}
