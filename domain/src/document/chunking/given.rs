//! Passages that somebody else cut, taken on only when they are what every way of cutting gives.

use std::ops::Range;

use super::tokens::Tokens;
use super::{bytes_of, passages};
use crate::document::Passage;

/// Spans that are no passages of the text; the words say why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSpans(String);

/// The passages that these spans (code points, ends excluded) make of a text. They must lie inside it, ascend by their beginnings
/// and ends, hold more than white space, and leave out nothing but white space: what no passage holds would never be found.
pub fn passages_of_spans(text: &str, spans: &[(u32, u32)]) -> Result<Vec<Passage>, InvalidSpans> {
    let length = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let wrong = |place: usize, why: &str| {
        let (start, end) = spans[place];
        InvalidSpans(format!("passage {place}, from {start} to {end} of {length} characters, {why}"))
    };
    for (place, (start, end)) in spans.iter().enumerate() {
        if start >= end || *end > length {
            return Err(wrong(place, "is empty or does not lie in the text"));
        }
        if place > 0 && (*start < spans[place - 1].0 || *end <= spans[place - 1].1) {
            return Err(wrong(place, "does not follow on the one before"));
        }
    }
    let starts = bytes_of(text, spans.iter().map(|(start, _)| *start));
    let ends = bytes_of(text, spans.iter().map(|(_, end)| *end));
    let ranges: Vec<Range<usize>> = starts.into_iter().zip(ends).map(|(start, end)| start..end).collect();
    let mut held = 0;
    for (place, range) in ranges.iter().enumerate() {
        if text[range.clone()].trim().is_empty() {
            return Err(wrong(place, "holds nothing but white space"));
        }
        if range.start > held && !text[held..range.start].trim().is_empty() {
            return Err(wrong(place, "leaves out text before it"));
        }
        held = range.end;
    }
    if !text[held..].trim().is_empty() {
        return Err(InvalidSpans("text is left out after the last passage".to_owned()));
    }
    Ok(passages(text, &Tokens::of(text), ranges))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "Über 24 h.\n\nFees are due.";

    #[test]
    fn spans_become_passages_that_stand_where_they_say() {
        let passages = passages_of_spans(TEXT, &[(0, 12), (8, 25)]).unwrap();
        let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
        assert_eq!(texts, ["Über 24 h.", "h.\n\nFees are due."]);
        for passage in passages {
            let (start, end) = (passage.char_start as usize, passage.char_end as usize);
            assert_eq!(TEXT.chars().skip(start).take(end - start).collect::<String>(), passage.text);
        }
    }

    #[test]
    fn spans_that_lie_elsewhere_or_leave_something_out_are_refused() {
        let wrong: [(&[(u32, u32)], &str); 7] = [
            (&[(0, 26)], "lie in the text"),
            (&[(3, 3)], "is empty"),
            (&[(0, 25), (0, 25)], "does not follow"),
            (&[(5, 25), (0, 4)], "does not follow"),
            (&[(0, 10), (10, 12), (12, 25)], "white space"),
            (&[(2, 25)], "leaves out"),
            (&[(0, 12)], "after the last"),
        ];
        for (spans, why) in wrong {
            let error = passages_of_spans(TEXT, spans).unwrap_err().to_string();
            assert!(error.contains(why), "{spans:?}: {error}");
        }
        assert!(passages_of_spans(TEXT, &[]).is_err() && passages_of_spans(" \n", &[]).unwrap().is_empty());
    }
}
