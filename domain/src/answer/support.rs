//! Whether a passage supports a sentence: how much of what the sentence says stands there, and where.

use std::collections::HashSet;
use std::ops::Range;

use super::sentences::sentences;
use super::words::{content_words, numbers};

/// Share of a sentence's content words that must stand in the quoted part.
pub const ENOUGH: f64 = 0.6;
/// Sentences of a passage that are looked at together at most.
const WINDOW: usize = 2;

/// How well a passage supports a sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// Share of the sentence's content words in the best part of the passage, from 0 to 1.
    pub share: f64,
    /// Whether every number of the sentence stands in the passage.
    pub numbers_stand: bool,
    /// Bytes of the best part in the passage.
    pub part: Range<usize>,
}

impl Support {
    /// Whether this is enough to call the sentence supported. A wrong number is never supported, however well the words fit.
    pub fn is_enough(&self) -> bool {
        self.share >= ENOUGH && self.numbers_stand
    }
}

/// Looks for the one or two sentences of `passage` that hold most of the content of `sentence`; none when they share no word.
///
/// This is a lexical check: it catches invented facts, figures and citations of the wrong passage, but neither a negation
/// that was dropped nor a paraphrase in wholly other words.
pub fn support(sentence: &str, passage: &str) -> Option<Support> {
    let wanted: HashSet<String> = content_words(sentence).into_iter().collect();
    if wanted.is_empty() {
        return None;
    }
    let parts: Vec<(Range<usize>, HashSet<String>)> = sentences(passage)
        .into_iter()
        .map(|range| (range.clone(), content_words(&passage[range]).into_iter().collect()))
        .collect();
    let mut best: Option<(usize, Range<usize>)> = None;
    for width in 1..=WINDOW.min(parts.len()) {
        for window in parts.windows(width) {
            let held = wanted.iter().filter(|word| window.iter().any(|(_, words)| words.contains(*word))).count();
            // A wider part must hold more, so that quotes stay short.
            if held > best.as_ref().map_or(0, |(held, _)| *held) {
                best = Some((held, window[0].0.start..window[width - 1].0.end));
            }
        }
    }
    let (held, part) = best?;
    let stated: HashSet<String> = numbers(passage).into_iter().collect();
    let numbers_stand = numbers(sentence).iter().all(|number| stated.contains(number));
    #[allow(clippy::cast_precision_loss, reason = "a sentence has few words")]
    let share = held as f64 / wanted.len() as f64;
    Some(Support { share, numbers_stand, part })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str =
        "An operator reports a leak within 24 hours. The report names the valve. Fees are 300 crowns a year.";

    #[test]
    fn a_sentence_is_supported_by_the_part_that_says_it() {
        let found = support("Operators must report leaks within 24 hours.", PASSAGE).expect("words in common");
        assert!(found.is_enough());
        assert_eq!(&PASSAGE[found.part], "An operator reports a leak within 24 hours.");
    }

    #[test]
    fn a_wrong_number_is_not_supported() {
        let found = support("Operators must report leaks within 48 hours.", PASSAGE).expect("words in common");
        assert!(!found.numbers_stand && !found.is_enough());
    }

    #[test]
    fn a_statement_across_two_sentences_takes_both_and_a_foreign_one_finds_nothing() {
        let found = support("A leak report within 24 hours names the valve.", PASSAGE).expect("words in common");
        assert_eq!(
            &PASSAGE[found.part.clone()],
            "An operator reports a leak within 24 hours. The report names the valve."
        );
        assert!(found.is_enough());
        assert_eq!(support("Elephants migrate northwards.", PASSAGE), None);
    }
}
