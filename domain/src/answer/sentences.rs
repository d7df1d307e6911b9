//! Where the sentences of a text are, by rules that regulations need: numbered articles, abbreviations, lists and headings.

use std::ops::Range;

/// Words before a full stop that does not end a sentence, in lower case.
const ABBREVIATIONS: &[&str] = &[
    "art", "arts", "no", "nos", "para", "paras", "sec", "s", "ss", "ch", "fig", "e.g", "i.e", "cf", "etc", "vs", "mr",
    "ms", "mrs", "dr", "st", "inc", "ltd", "co", "corp", "approx", "u.s", "u.k", "p", "pp", "reg", "regs", "cl",
];

/// The byte ranges of the sentences of `text`, in order, without surrounding white space and never empty.
///
/// A sentence ends at `.`, `!` or `?` (with closing quotes and brackets) before white space, unless the full stop belongs to
/// an abbreviation, an initial or a number such as `Art. 5` or `3.2`; and at an empty line or a line that begins a
/// heading, list item or table row. Offsets are on character boundaries.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        let mut start = block.start;
        for (at, mark) in text[block.clone()].char_indices() {
            let at = block.start + at;
            if at < start || !matches!(mark, '.' | '!' | '?') {
                continue;
            }
            let end = past_closers(text, at + 1, block.end);
            let ends = text[end..block.end].chars().next().is_none_or(char::is_whitespace);
            if ends && (mark != '.' || ends_sentence(&text[start..at], &text[end..block.end])) {
                push_trimmed(text, start..end, &mut found);
                start = end;
            }
        }
        push_trimmed(text, start..block.end, &mut found);
    }
    found
}

/// Stretches that no sentence crosses: paragraphs, headings, list items, rows.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let begins_anew = line.trim().is_empty() || is_item(line.trim_start());
        if begins_anew && start < at {
            blocks.push(start..at);
            start = at;
        }
        at += line.len();
        // A heading is a block by itself.
        if line.starts_with('#') {
            blocks.push(start..at);
            start = at;
        }
    }
    blocks.push(start..at);
    blocks
}

/// Whether a line begins a heading, a list item or a table row.
fn is_item(line: &str) -> bool {
    let marker = line.split_whitespace().next().unwrap_or_default();
    let numbered = marker.len() <= 6
        && marker.len() < line.len()
        && marker.ends_with([')', '.'])
        && marker.trim_start_matches('(').trim_end_matches([')', '.']).chars().all(|c| c.is_ascii_digit() || c == '.')
        && marker.chars().any(|c| c.is_ascii_digit());
    let lettered = marker.len() == 3 && marker.starts_with('(') && marker.ends_with(')');
    matches!(marker, "-" | "*" | "+" | "•" | "|") || line.starts_with(['#', '|']) || numbered || lettered
}

fn past_closers(text: &str, mut at: usize, end: usize) -> usize {
    while let Some(next) =
        text[at..end].chars().next().filter(|c| matches!(c, ')' | ']' | '"' | '\'' | '”' | '’' | '»'))
    {
        at += next.len_utf8();
    }
    at
}

/// Whether a full stop after `before` ends a sentence that `after` follows.
fn ends_sentence(before: &str, after: &str) -> bool {
    let word = before.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default().to_lowercase();
    let next = after.trim_start().chars().next();
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic) && word != "i";
    let goes_on = next.is_some_and(char::is_lowercase);
    // "No." before a digit is "number"; before anything else it may well be a sentence.
    let abbreviation =
        ABBREVIATIONS.contains(&word.as_str()) && (word != "no" || next.is_some_and(|c| c.is_ascii_digit()));
    // The number of a list item or heading ("4. Duties") is no sentence of its own.
    let is_number = !word.is_empty() && before.trim() == word && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    !(is_initial || goes_on || abbreviation || is_number)
}

fn push_trimmed(text: &str, range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    let end = range.end - (part.len() - part.trim_end().len());
    if start < end {
        found.push(start..end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn abbreviations_numbers_and_initials_do_not_end_a_sentence() {
        let text = "Under Art. 5 no. 3 the operator reports within 3.5 hours. See J. Doe, e.g. in reg. 7! Is it \"closed?\" Yes.";
        let expected = [
            "Under Art. 5 no. 3 the operator reports within 3.5 hours.",
            "See J. Doe, e.g. in reg. 7!",
            "Is it \"closed?\"",
            "Yes.",
        ];
        assert_eq!(split(text), expected);
    }

    #[test]
    fn headings_items_and_paragraphs_bound_sentences() {
        let text = "# Duties\nThe operator\nkeeps records.\n\nIt also\n- reports leaks\n- pays fees. At once\n4. Keeps quiet\n(a) always";
        let expected = [
            "# Duties",
            "The operator\nkeeps records.",
            "It also",
            "- reports leaks",
            "- pays fees.",
            "At once",
            "4. Keeps quiet",
            "(a) always",
        ];
        assert_eq!(split(text), expected);
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_left_out_and_nothing_overlaps(text in "[a-zA-Z0-9 .!?\n#()|é\"-]{0,200}") {
            let found = sentences(&text);
            let mut at = 0;
            for range in found {
                prop_assert!(text[at..range.start].trim().is_empty());
                prop_assert!(!text[range.clone()].trim().is_empty());
                at = range.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
