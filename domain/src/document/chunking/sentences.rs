//! Sentences: where they end, and windows of them.

use std::ops::Range;

use super::fixed;
use super::tokens::Tokens;

/// A sentence of more tokens than this is a table or a list without full stops: it is cut into parts.
const LONGEST: u32 = 120;

/// What a full stop behind these does not end; in lower case, without the stop.
const ABBREVIATIONS: &[&str] = &[
    "art", "arts", "cf", "ch", "co", "corp", "dept", "dr", "e.g", "ed", "eds", "est", "etc", "fig", "figs", "gov",
    "i.e", "inc", "jr", "ltd", "mr", "mrs", "ms", "no", "nos", "p", "para", "paras", "pp", "prof", "pub", "rev", "sec",
    "secs", "sr", "st", "stat", "u.s", "u.s.c", "v", "vol", "vs",
];

/// The sentences of a text, one after the other without a gap; white space belongs to the one before it.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let mut end = at + character.len_utf8();
        let ends = match character {
            '\n' => text[end..].trim_start_matches([' ', '\t', '\r']).starts_with('\n') || begins_item(&text[end..]),
            '.' | '!' | '?' => {
                while let Some((at, closing)) = characters.next_if(|(_, next)| closes(*next)) {
                    end = at + closing.len_utf8();
                }
                ends_sentence(&text[start..at], character, &text[end..])
            }
            '。' | '！' | '？' => true,
            _ => false,
        };
        if ends {
            while let Some((at, space)) = characters.next_if(|(_, next)| next.is_whitespace()) {
                end = at + space.len_utf8();
            }
            found.push(start..end);
            start = end;
        }
    }
    if start < text.len() {
        found.push(start..text.len());
    }
    found
}

const fn closes(character: char) -> bool {
    matches!(character, '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '.' | '!' | '?')
}

/// Whether the next line begins an item of a list or a heading of Markdown.
fn begins_item(rest: &str) -> bool {
    let rest = rest.trim_start_matches([' ', '\t']);
    let marker = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = marker.len() < rest.len() && marker.len() + 3 >= rest.len() && marker.starts_with([')', '.']);
    rest.starts_with(['•', '#', '▪', '○', '●'])
        || (rest.starts_with(['-', '*', '+']) && rest[1..].starts_with(' '))
        || (numbered && marker[1..].starts_with(' '))
}

/// Whether a stop with this before and this behind it ends a sentence.
fn ends_sentence(before: &str, stop: char, rest: &str) -> bool {
    if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
        return false;
    }
    // A small letter goes on with the same sentence.
    if rest.trim_start().starts_with(char::is_lowercase) {
        return false;
    }
    if stop != '.' {
        return true;
    }
    let word = before.rsplit(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | '"')).next().unwrap_or_default();
    let word = word.to_lowercase();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    !initial && !ABBREVIATIONS.contains(&word.as_str())
}

/// Windows of `size` sentences, each beginning `overlap` sentences before the end of the last.
pub(super) fn windows(text: &str, tokens: &Tokens, size: u32, overlap: u32) -> Vec<Range<usize>> {
    let visible = |span: &Range<usize>| !text[span.clone()].trim().is_empty();
    let units: Vec<_> = sentences(text)
        .into_iter()
        .filter(visible)
        .flat_map(|sentence| {
            if tokens.weight(sentence.clone()) <= LONGEST {
                vec![sentence]
            } else {
                fixed::windows(tokens, sentence, LONGEST, 0)
            }
        })
        .collect();
    let step = (size - overlap).max(1) as usize;
    let mut found = Vec::new();
    for first in (0..units.len()).step_by(step) {
        let last = (first + size as usize).min(units.len());
        found.push(units[first].start..units[last - 1].end);
        if last == units.len() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|span| text[span].trim()).collect()
    }

    #[test]
    fn full_stops_end_sentences_unless_they_abbreviate() {
        assert_eq!(split("Patch it. Report it!  Done? Yes."), ["Patch it.", "Report it!", "Done?", "Yes."]);
        assert_eq!(
            split("See 44 U.S.C. 3552 and Sec. 2, e.g. Table 4. Then act."),
            ["See 44 U.S.C. 3552 and Sec. 2, e.g. Table 4.", "Then act."]
        );
        assert_eq!(
            split("Version 2.5 is out. (It is \"safe.\") Use it."),
            ["Version 2.5 is out.", "(It is \"safe.\")", "Use it."]
        );
        assert_eq!(split("John F. Kennedy spoke."), ["John F. Kennedy spoke."]);
    }

    #[test]
    fn paragraphs_and_items_end_sentences_too() {
        assert_eq!(
            split("A heading\n\nSome text\nthat goes on\n- one\n- two\n12. three"),
            ["A heading", "Some text\nthat goes on", "- one", "- two", "12. three"]
        );
    }
}
