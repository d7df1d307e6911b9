//! Fixed windows: so many tokens at a time, each window beginning so many before the end of the last.

use std::ops::Range;

use super::tokens::Tokens;

/// Windows over a part of the text. `overlap` is at most half of `size`, so each window gets on.
pub(super) fn windows(tokens: &Tokens, part: Range<usize>, size: u32, overlap: u32) -> Vec<Range<usize>> {
    let inside = tokens.inside(part.clone());
    let mut found = Vec::new();
    let mut first = inside.start;
    while first < inside.end {
        let (mut next, mut weight) = (first, 0);
        while next < inside.end && (weight + tokens.one(next) <= size || next == first) {
            weight += tokens.one(next);
            next += 1;
        }
        found.push(tokens.span(first).start..tokens.span(next - 1).end.min(part.end));
        if next == inside.end {
            break;
        }
        let (mut start, mut shared) = (next, 0);
        while start > first + 1 && shared + tokens.one(start - 1) <= overlap {
            start -= 1;
            shared += tokens.one(start);
        }
        first = start;
    }
    found
}
