//! Recursive splitting by structure: at headings, then blank lines, lines, sentences and words, no finer than needed.

use std::ops::Range;

use super::fixed;
use super::sentences::sentences;
use super::tokens::Tokens;

/// What is cut at, coarsest first.
#[derive(Debug, Clone, Copy)]
enum Level {
    Paragraphs,
    Lines,
    Sentences,
    Words,
}

impl Level {
    const fn finer(self) -> Self {
        match self {
            Self::Paragraphs => Self::Lines,
            Self::Lines => Self::Sentences,
            Self::Sentences | Self::Words => Self::Words,
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
        let parts = put_together(tokens, parts, size - overlap);
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
        Level::Lines => between(text, part, "\n"),
        Level::Sentences => {
            let inner = sentences(&text[part.clone()]);
            inner.into_iter().map(|span| part.start + span.start..part.start + span.end).collect()
        }
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

fn put_together(tokens: &Tokens, parts: Vec<Range<usize>>, size: u32) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for part in parts {
        match found.last_mut() {
            Some(last) if tokens.weight(last.start..part.end) <= size => last.end = part.end,
            _ => found.push(part),
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
