//! Keeps spreadsheets from running what they read: a cell that begins like a formula gets an apostrophe in front.
//!
//! Source: OWASP, "CSV Injection". The rule can be undone exactly: a cell whose leading apostrophes are followed by one of
//! `= + - @` tab or carriage return is written with one apostrophe more, and read with one fewer.

use std::borrow::Cow;

fn begins_like_a_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The cell as it is written.
pub fn escape(text: &str) -> Cow<'_, str> {
    if begins_like_a_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The cell as it was meant.
pub fn unescape(text: &str) -> &str {
    if begins_like_a_formula(text) { text.strip_prefix('\'').unwrap_or(text) } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_defused_and_nothing_else_is_touched() {
        assert_eq!(escape("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!(escape("'=1"), "''=1");
        assert_eq!(escape("'tis"), "'tis");
        assert_eq!(escape("a=b"), "a=b");
        assert_eq!(unescape("'tis"), "'tis");
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(text in "['=+@\\-a\t]{0,6}") {
            let escaped = escape(&text);
            prop_assert_eq!(unescape(&escaped), text.as_str());
            prop_assert!(!escaped.starts_with(['=', '+', '-', '@']));
        }
    }
}
