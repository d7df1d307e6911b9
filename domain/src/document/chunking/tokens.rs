//! Counting tokens without a model's vocabulary: close to BERT's basic tokens, with long words counted for their pieces.
//!
//! A run of letters and digits is a word, every other visible character stands for itself. A word of up to six letters
//! counts one, and one more for each six after, which is near what `WordPiece` makes of English prose. Runs of more than 24
//! letters are cut there, so that no token is large.

use std::ops::Range;

/// Where the longest token is cut, in characters.
const LONGEST: usize = 24;
/// Letters for which one word piece is counted.
const LETTERS_OF_A_PIECE: usize = 6;

/// The tokens of a text, ready to be counted over any part of it.
#[derive(Debug)]
pub struct Tokens {
    spans: Vec<Range<usize>>,
    /// How much the tokens before each one count; one entry more than there are tokens.
    before: Vec<u32>,
}

impl Tokens {
    /// Takes a text apart.
    pub fn of(text: &str) -> Self {
        let mut tokens = Self { spans: Vec::new(), before: vec![0] };
        let mut word: Option<(usize, usize)> = None;
        for (at, character) in text.char_indices() {
            let letter = character.is_alphanumeric();
            match word {
                Some((start, letters)) if letter && letters < LONGEST => word = Some((start, letters + 1)),
                _ => {
                    if let Some((start, letters)) = word.take() {
                        tokens.push(start..at, letters);
                    }
                    if letter {
                        word = Some((at, 1));
                    } else if !character.is_whitespace() {
                        tokens.push(at..at + character.len_utf8(), 1);
                    }
                }
            }
        }
        if let Some((start, letters)) = word {
            tokens.push(start..text.len(), letters);
        }
        tokens
    }

    fn push(&mut self, span: Range<usize>, letters: usize) {
        let weight = u32::try_from(letters.div_ceil(LETTERS_OF_A_PIECE)).unwrap_or(1);
        let total = self.before.last().copied().unwrap_or_default();
        self.spans.push(span);
        self.before.push(total.saturating_add(weight));
    }

    /// How much the tokens that begin in this part of the text count.
    pub fn weight(&self, part: Range<usize>) -> u32 {
        let inside = self.inside(part);
        self.before[inside.end] - self.before[inside.start]
    }

    /// The tokens that begin in this part of the text, by number.
    pub(super) fn inside(&self, part: Range<usize>) -> Range<usize> {
        let first = |at: usize| self.spans.partition_point(|span| span.start < at);
        let start = first(part.start);
        start..first(part.end).max(start)
    }

    /// Where a token stands.
    pub(super) fn span(&self, token: usize) -> Range<usize> {
        self.spans[token].clone()
    }

    /// How much one token counts.
    pub(super) fn one(&self, token: usize) -> u32 {
        self.before[token + 1] - self.before[token]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> u32 {
        Tokens::of(text).weight(0..text.len())
    }

    #[test]
    fn words_and_signs_are_counted() {
        assert_eq!(count(""), 0);
        assert_eq!(count(" \n"), 0);
        assert_eq!(count("The agency must patch it."), 6);
        assert_eq!(count("vulnerabilities"), 3);
        assert_eq!(count("a-b"), 3);
        assert_eq!(count("日本"), 1);
    }

    #[test]
    fn endless_words_are_cut() {
        let long = "x".repeat(1_000);
        let tokens = Tokens::of(&long);
        assert!(tokens.spans.iter().all(|span| span.len() <= LONGEST));
        assert_eq!(tokens.spans.iter().map(Range::len).sum::<usize>(), 1_000);
    }
}
