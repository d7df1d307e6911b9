//! Bounded text: parsed once at the edge, never checked again.

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space where something is needed.
    #[error("must not be empty")]
    Empty,
    /// Longer than allowed, counted in Unicode scalar values.
    #[error("has {length} characters; at most {max} are allowed")]
    TooLong {
        /// The length found.
        length: usize,
        /// The greatest length allowed.
        max: usize,
    },
    /// A control character other than tab and line feed (PostgreSQL cannot store U+0000, terminals must not obey the rest).
    #[error("holds the control character U+{code:04X}; remove it")]
    ControlCharacter {
        /// The code point found.
        code: u32,
    },
}

/// Greatest length of a title, in characters.
pub const TITLE_MAX: usize = 200;
/// Greatest length of a respondent's name, in characters.
pub const RESPONDENT_MAX: usize = 300;
/// Greatest length of a case type, in characters.
pub const CASE_TYPE_MAX: usize = 100;
/// Greatest length of a reference (external id), in characters.
pub const REFERENCE_MAX: usize = 100;
/// Greatest length of a narrative, note, question, answer or decision, in characters.
pub const PROSE_MAX: usize = 20_000;
/// Greatest length of a reason, in characters.
pub const REASON_MAX: usize = 2_000;

/// Checks a line of text that may be empty: bounded, without control characters, outer white space trimmed.
pub fn line(text: &str, max: usize) -> Result<String, TextError> {
    let trimmed = text.trim();
    check(trimmed, max, char::is_control)?;
    Ok(trimmed.to_owned())
}

/// Like [`line`], but not empty.
pub fn required_line(text: &str, max: usize) -> Result<String, TextError> {
    non_empty(line(text, max)?)
}

/// Checks prose that may be empty: line feeds and tabs are allowed, carriage returns become line feeds.
pub fn prose(text: &str, max: usize) -> Result<String, TextError> {
    let unified = text.trim().replace("\r\n", "\n").replace('\r', "\n");
    check(&unified, max, |character| character.is_control() && character != '\n' && character != '\t')?;
    Ok(unified)
}

/// Like [`prose`], but not empty.
pub fn required_prose(text: &str, max: usize) -> Result<String, TextError> {
    non_empty(prose(text, max)?)
}

fn non_empty(text: String) -> Result<String, TextError> {
    if text.is_empty() { Err(TextError::Empty) } else { Ok(text) }
}

fn check(text: &str, max: usize, forbidden: impl Fn(char) -> bool) -> Result<(), TextError> {
    if let Some(character) = text.chars().find(|character| forbidden(*character)) {
        return Err(TextError::ControlCharacter { code: u32::from(character) });
    }
    // The number of bytes bounds the number of characters, so short texts need no counting.
    if text.len() > max {
        let length = text.chars().count();
        if length > max {
            return Err(TextError::TooLong { length, max });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_are_counted_in_characters_and_inclusive() {
        assert_eq!(line("ééé", 3), Ok("ééé".to_owned()));
        assert_eq!(line("éééé", 3), Err(TextError::TooLong { length: 4, max: 3 }));
        assert_eq!(required_line(" \u{a0} ", 3), Err(TextError::Empty));
        assert_eq!(required_prose("\r\n", 3), Err(TextError::Empty));
    }

    #[test]
    fn control_characters_are_named() {
        assert_eq!(line("a\0b", 9), Err(TextError::ControlCharacter { code: 0 }));
        assert_eq!(line("a\nb", 9), Err(TextError::ControlCharacter { code: 10 }));
        assert_eq!(prose("a\r\nb\tc\rd", 9), Ok("a\nb\tc\nd".to_owned()));
        assert_eq!(prose("a\u{1b}[0m", 9), Err(TextError::ControlCharacter { code: 27 }));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(text in ".*", max in 0usize..64) {
            if let Ok(once) = prose(&text, max) {
                prop_assert!(once.chars().count() <= max);
                prop_assert_eq!(prose(&once, max), Ok(once));
            }
        }
    }
}
