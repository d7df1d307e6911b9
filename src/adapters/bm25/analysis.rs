//! From a text to its words: split at what is neither letter nor digit, lower case, English stems.

use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, TokenStream,
};

/// No word is longer; longer ones are noise of a broken scan.
const LONGEST_WORD: usize = 64;

/// The English stop words of Lucene.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

/// How texts become words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Analysis {
    /// Whether words are reduced to their English stems (Porter 2, Snowball's `english`).
    pub stem: bool,
    /// Whether the most common English words are left out.
    pub drop_stop_words: bool,
}

impl Analysis {
    /// What searches use: stems, and every word. It reaches the reference of docs/evaluation.md; the alternatives were not measured.
    pub const DEFAULT: Self = Self { stem: true, drop_stop_words: false };

    pub(super) fn analyzer(self) -> TextAnalyzer {
        let mut builder = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(LONGEST_WORD))
            .filter(LowerCaser)
            .dynamic();
        if self.drop_stop_words {
            builder = builder.filter_dynamic(StopWordFilter::remove(STOP_WORDS.iter().map(|word| (*word).to_owned())));
        }
        if self.stem {
            builder = builder.filter_dynamic(Stemmer::new(Language::English));
        }
        builder.build()
    }

    /// The words of a text, in order, as the index keeps them.
    pub fn words(self, text: &str) -> Vec<String> {
        let mut analyzer = self.analyzer();
        let mut stream = analyzer.token_stream(text);
        let mut words = Vec::new();
        while let Some(token) = stream.next() {
            words.push(token.text.clone());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_stemmed_and_signs_are_nothing() {
        assert_eq!(
            Analysis::DEFAULT.words("Reporting obligations (s. 12): \"AND\" -not*"),
            ["report", "oblig", "s", "12", "and", "not"]
        );
        assert!(Analysis::DEFAULT.words("?! --").is_empty());
    }
}
