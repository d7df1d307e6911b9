//! Checking an answer before its citations are shown: every marker must name a passage that was given, and every sentence
//! must be supported by a passage it cites.

use std::ops::Range;

use super::sentences::sentences;
use super::support::support;

/// A citation that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Index of the passage in what was given.
    pub passage: usize,
    /// Bytes of the quote in the passage's text.
    pub quote: Range<usize>,
}

/// A sentence of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedSentence {
    /// The sentence, without markers.
    pub text: String,
    /// Indexes into [`Checked::citations`].
    pub citations: Vec<usize>,
    /// Whether a cited passage supports it. What has neither letter nor digit states nothing and counts as supported; "No." does
    /// state something.
    pub supported: bool,
}

/// An answer whose markers were resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// The sentences in order.
    pub sentences: Vec<CheckedSentence>,
    /// Each citation once, in the order of first use.
    pub citations: Vec<Citation>,
    /// Markers that named no passage and were dropped.
    pub dropped: usize,
}

/// Checks `answer`, in which `[n]` cites the n-th of `passages`, counted from 1.
///
/// Markers count for the sentence they stand in or follow. A marker whose passage does not support the sentence is kept
/// as no citation: what is left are quotes that say what the sentence says.
pub fn check(answer: &str, passages: &[&str]) -> Checked {
    let (clean, markers) = without_markers(answer);
    let ranges = sentences(&clean);
    let mut checked = Checked::default();
    for (index, range) in ranges.iter().enumerate() {
        let until = ranges.get(index + 1).map_or(usize::MAX, |next| next.start);
        let text = &clean[range.clone()];
        let own = markers.iter().filter(|(at, _)| range.start < *at && *at <= until);
        let mut sentence = CheckedSentence { text: text.to_owned(), citations: Vec::new(), supported: false };
        for (_, number) in own {
            let Some(passage) = number.checked_sub(1).filter(|index| *index < passages.len()) else {
                checked.dropped += 1;
                continue;
            };
            if let Some(found) = support(text, passages[passage]).filter(super::Support::is_enough) {
                sentence.supported = true;
                let at = place_of(&mut checked.citations, Citation { passage, quote: found.part });
                if !sentence.citations.contains(&at) {
                    sentence.citations.push(at);
                }
            }
        }
        sentence.supported |= !text.chars().any(char::is_alphanumeric);
        checked.sentences.push(sentence);
    }
    checked
}

fn place_of(citations: &mut Vec<Citation>, citation: Citation) -> usize {
    citations.iter().position(|known| *known == citation).unwrap_or_else(|| {
        citations.push(citation);
        citations.len() - 1
    })
}

/// The text without its markers, and where each stood in what is left, with the number it named.
fn without_markers(answer: &str) -> (String, Vec<(usize, usize)>) {
    let (mut clean, mut markers) = (String::with_capacity(answer.len()), Vec::new());
    let mut rest = answer;
    while let Some(open) = rest.find('[') {
        let (before, from) = rest.split_at(open);
        clean.push_str(before);
        let inside = from[1..].split_once(']').filter(|(inside, _)| is_marker(inside));
        if let Some((inside, after)) = inside {
            let numbers = inside.split(',').map(|number| number.trim().parse().unwrap_or(usize::MAX));
            // A space before a marker goes with it: "hours [1]." reads "hours."
            clean.truncate(clean.trim_end_matches(' ').len());
            markers.extend(numbers.map(|number| (clean.len(), number)));
            rest = after;
        } else {
            clean.push('[');
            rest = &from[1..];
        }
    }
    clean.push_str(rest);
    (clean, markers)
}

fn is_marker(inside: &str) -> bool {
    !inside.is_empty()
        && inside.len() <= 40
        && inside.split(',').all(|part| !part.trim().is_empty() && part.trim().bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAKS: &str = "An operator reports a leak within 24 hours. The report names the valve.";
    const FEES: &str = "The annual fee is 300 crowns.";

    #[test]
    fn markers_count_for_the_sentence_they_stand_in_or_follow() {
        let checked =
            check("Leaks are reported within 24 hours [1]. The annual fee is 300 crowns. [2]", &[LEAKS, FEES]);
        assert_eq!(checked.citations, [Citation { passage: 0, quote: 0..43 }, Citation { passage: 1, quote: 0..29 }]);
        assert!(checked.sentences.iter().all(|sentence| sentence.supported && sentence.citations.len() == 1));
        assert_eq!(checked.sentences[0].text, "Leaks are reported within 24 hours.");
    }

    #[test]
    fn what_no_passage_says_is_marked_and_a_marker_beyond_the_passages_is_dropped() {
        let checked =
            check("Leaks are reported within 48 hours [1]. Fees are waived for schools [2][7].", &[LEAKS, FEES]);
        assert!(checked.sentences.iter().all(|sentence| !sentence.supported));
        assert_eq!((checked.citations.len(), checked.dropped), (0, 1));
    }

    #[test]
    fn a_bare_no_needs_support_like_every_other_sentence_and_bare_punctuation_does_not() {
        for bare in ["No.", "No [1].", "Yes, it is.", "They do not. [1]"] {
            let checked = check(bare, &[LEAKS]);
            assert!(checked.sentences.iter().all(|sentence| !sentence.supported), "{bare}: {checked:?}");
        }
        let checked = check("Leaks are reported within 24 hours [1]. ***", &[LEAKS]);
        assert!(checked.sentences.iter().all(|sentence| sentence.supported), "{checked:?}");
    }

    #[test]
    fn brackets_that_are_no_markers_stay_and_absurd_numbers_are_dropped() {
        let checked = check("The [valve] report [99999999999999999999999] names it [0].", &[LEAKS]);
        assert_eq!(checked.sentences[0].text, "The [valve] report names it.");
        assert_eq!(checked.dropped, 2);
    }

    proptest! {
        #[test]
        fn a_citation_always_lies_in_a_passage_that_was_given(answer in "[a-z0-9 .\\[\\],é]{0,120}") {
            let passages = [LEAKS, FEES];
            let checked = check(&answer, &passages);
            for citation in &checked.citations {
                prop_assert!(passages[citation.passage].get(citation.quote.clone()).is_some_and(|quote| !quote.is_empty()));
            }
            for sentence in &checked.sentences {
                prop_assert!(sentence.citations.iter().all(|at| *at < checked.citations.len()));
            }
        }
    }
}
