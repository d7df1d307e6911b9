//! The name of a kind of job, and how urgent a job is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What sort of work a job is: 1 to 63 lower-case letters, digits and underscores, beginning with a letter. A kind is
/// handled by one handler, and is a label of metrics, so there are few of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobKind(String);

/// The text is no name of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a kind of job is 1 to 63 lower-case letters, digits and underscores, beginning with a letter")]
pub struct InvalidJobKind;

impl JobKind {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for JobKind {
    type Err = InvalidJobKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts_well && text.len() <= 63 && text.bytes().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidJobKind)
        }
    }
}

impl TryFrom<String> for JobKind {
    type Error = InvalidJobKind;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<JobKind> for String {
    fn from(kind: JobKind) -> Self {
        kind.0
    }
}

impl fmt::Display for JobKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

crate::named_enum! {
    /// How urgent a job is among the jobs of its kind.
    Priority, "priority" {
        /// Before everything else.
        Urgent = "urgent",
        /// Before what is normal.
        High = "high",
        /// Unless somebody says otherwise.
        Normal = "normal",
        /// When nothing else waits.
        Low = "low",
    }
}

impl Priority {
    /// The number in the database: 1 (urgent) to 4 (low).
    pub const fn rank(self) -> i16 {
        self as i16 + 1
    }

    /// The priority of a rank, if there is one.
    pub fn from_rank(rank: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|priority| priority.rank() == rank)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn kinds_are_short_plain_names() {
        for fine in ["a", "purge_idempotency_keys", "v2", &"a".repeat(63)] {
            assert_eq!(fine.parse::<JobKind>().unwrap().as_str(), fine);
        }
        for bad in ["", "2v", "_a", "A", "a-b", "ä", "a b", &"a".repeat(64)] {
            assert_eq!(bad.parse::<JobKind>(), Err(InvalidJobKind), "{bad}");
        }
        assert!(serde_json::from_str::<JobKind>("\"No\"").is_err());
    }

    #[test]
    fn ranks_and_priorities_are_each_others_inverse() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_rank(priority.rank()), Some(*priority));
        }
        assert_eq!((Priority::from_rank(0), Priority::from_rank(5)), (None, None));
        assert!(Priority::Urgent.rank() < Priority::Low.rank(), "an index reads the urgent ones first");
    }
}
