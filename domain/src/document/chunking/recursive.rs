//! Recursive splitting by structure: at headings, then blank lines, lines that end a sentence, sentences, lines and words, no
//! finer than needed. Texts of PDF files are broken into lines wherever the page ended, so a line alone says nothing.

use std::ops::Range;

use super::fixed;
use super::sentences::sentences;
use super::tokens::Tokens;

/// What is cut at, coarsest first.
#[derive(Debug, Clone, Copy)]
enum Level {
    Paragraphs,
    /// Lines at whose end a sentence ends, too: items, clauses.
    Clauses,
    Sentences,
    /// What has no sentences, such as a table.
    Lines,
    Words,
}

impl Level {
    const fn finer(self) -> Self {
        match self {
            Self::Paragraphs => Self::Clauses,
            Self::Clauses => Self::Sentences,
            Self::Sentences => Self::Lines,
            Self::Lines | Self::Words => Self::Words,
        }
    }
}

/// Splits a text into spans of at most `size` tokens; each but the first of a section begins with up to `overlap` tokens of
/// the one before. Small neighbouring parts of a section are put together; a section that is hardly more than its heading
/// goes with the next.
pub(super) fn split(text: &str, tokens: &Tokens, headings: &[usize], size: u32, overlap: u32) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for section in sections(text, tokens, headings, size) {
        let mut parts = Vec::new();
        divide(text, tokens, section, Level::Paragraphs, size - overlap, &mut parts);
        let parts = put_together(tokens, &parts, size - overlap);
        found.extend(parts.first().cloned());
        for pair in parts.windows(2) {
            // Not before the part before: passages ascend.
            let start = earlier(tokens, pair[0].start, pair[1].start, overlap);
            found.push(start..pair[1].end);
        }
    }
    found
}

/// The text between headings; a section that holds little more than its heading is joined with what follows, if both fit.
fn sections(text: &str, tokens: &Tokens, headings: &[usize], size: u32) -> Vec<Range<usize>> {
    let little = size / 8;
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let ends = headings.iter().copied().filter(|at| *at > 0).chain([text.len()]);
    for end in ends {
        if end <= start {
            continue;
        }
        match found.last_mut() {
            Some(last) if tokens.weight(last.clone()) <= little && tokens.weight(last.start..end) <= size => {
                last.end = end;
            }
            _ => found.push(start..end),
        }
        start = end;
    }
    found
}

fn divide(text: &str, tokens: &Tokens, part: Range<usize>, level: Level, size: u32, found: &mut Vec<Range<usize>>) {
    if tokens.weight(part.clone()) <= size {
        found.push(part);
        return;
    }
    let pieces = match level {
        Level::Paragraphs => between(text, part, "\n\n"),
        Level::Clauses => clauses(text, part),
        Level::Sentences => sentences_of(text, part).collect(),
        Level::Lines => between(text, part, "\n"),
        Level::Words => {
            found.extend(fixed::windows(tokens, part, size, 0));
            return;
        }
    };
    for piece in pieces {
        divide(text, tokens, piece, level.finer(), size, found);
    }
}

/// The pieces of a part, each with the separator that ends it.
fn between(text: &str, part: Range<usize>, separator: &str) -> Vec<Range<usize>> {
    let mut start = part.start;
    let mut pieces = Vec::new();
    for piece in text[part].split_inclusive(separator) {
        pieces.push(start..start + piece.len());
        start += piece.len();
    }
    pieces
}

fn sentences_of(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let inner = sentences(&text[part.clone()]);
    inner.into_iter().map(move |span| part.start + span.start..part.start + span.end)
}

/// The sentences of a part, put together until one ends with its line.
fn clauses(text: &str, part: Range<usize>) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open = false;
    for sentence in sentences_of(text, part) {
        let ends_line = text[sentence.clone()].ends_with('\n');
        match found.last_mut() {
            Some(last) if open => last.end = sentence.end,
            _ => found.push(sentence),
        }
        open = !ends_line;
    }
    found
}

/// As few passages as `size` allows, and as even as they can be: a last one of three words is found by nobody.
fn put_together(tokens: &Tokens, parts: &[Range<usize>], size: u32) -> Vec<Range<usize>> {
    let fewest = filled(tokens, parts, size);
    let (mut low, mut high) = (1, size);
    while low < high {
        let middle = low.midpoint(high);
        if filled(tokens, parts, middle).len() > fewest.len() { low = middle + 1 } else { high = middle }
    }
    filled(tokens, parts, high)
}

/// Neighbouring parts put together up to `size`.
fn filled(tokens: &Tokens, parts: &[Range<usize>], size: u32) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match found.last_mut() {
            Some(last) if tokens.weight(last.start..part.end) <= size => last.end = part.end,
            _ => found.push(part.clone()),
        }
    }
    found
}

/// Up to `overlap` tokens before a place, but not before `least`.
fn earlier(tokens: &Tokens, least: usize, place: usize, overlap: u32) -> usize {
    let before = tokens.inside(least..place);
    let (mut start, mut shared) = (place, 0);
    for token in before.rev() {
        shared += tokens.one(token);
        if shared > overlap {
            break;
        }
        start = tokens.span(token).start;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a PDF gives it: lines end where the page does.
    const CLAUSES: &str = "3.1 Each line has a certificate that states the maker\nand the batch. A wire rope shall be taken out of\n\
                           service not later than 96 months after its\nfirst use.\n3.2 A line is looked at before\nevery use.";

    fn cut(text: &str, size: u32) -> Vec<&str> {
        let spans = split(text, &Tokens::of(text), &[], size, 0);
        spans.into_iter().map(|span| text[span].trim()).collect()
    }

    #[test]
    fn no_sentence_is_cut_where_only_its_line_ends() {
        let parts = cut(CLAUSES, 32);
        assert!(parts.len() > 1, "{parts:?}");
        assert!(parts.iter().all(|part| part.ends_with('.')), "{parts:?}");
    }

    #[test]
    fn a_table_is_cut_between_its_lines() {
        let table = "Class Stay\nExplosives none\nToxic gas 24 hours\nFlammable liquids 72 hours\nVarious 240 hours";
        assert!(cut(table, 12).iter().all(|part| table.lines().any(|line| part.ends_with(line))));
    }

    #[test]
    fn passages_of_a_section_are_of_like_length() {
        let text = "One short clause stands here.\n".repeat(11);
        let tokens = Tokens::of(&text);
        let weights: Vec<u32> = split(&text, &tokens, &[], 60, 0).into_iter().map(|span| tokens.weight(span)).collect();
        assert_eq!(weights, [36, 30], "rather than 60 and 6");
    }
}
