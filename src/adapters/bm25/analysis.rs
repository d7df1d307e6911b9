//! From a text to its words: split at what is neither letter nor digit, lower case, English stems.

use docket_domain::answer::words::STOP_WORDS;
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, TokenStream,
};

/// No word is longer; longer ones are noise of a broken scan.
const LONGEST_WORD: usize = 64;

/// How texts become words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Analysis {
    /// Whether words are reduced to their English stems (Porter 2, Snowball's `english`).
    pub stem: bool,
    /// Whether questions are asked without the words that say nothing of their subject ("what", "must", "the"). The index keeps them.
    pub drop_stop_words: bool,
}

impl Analysis {
    /// What searches use; docs/evaluation.md has the figures.
    pub const DEFAULT: Self = Self { stem: true, drop_stop_words: true };

    pub(super) fn analyzer(self) -> TextAnalyzer {
        self.chain(false)
    }

    fn chain(self, without_stop_words: bool) -> TextAnalyzer {
        let mut builder = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(LONGEST_WORD))
            .filter(LowerCaser)
            .dynamic();
        if without_stop_words {
            builder = builder.filter_dynamic(StopWordFilter::remove(STOP_WORDS.iter().map(|word| (*word).to_owned())));
        }
        if self.stem {
            builder = builder.filter_dynamic(Stemmer::new(Language::English));
        }
        builder.build()
    }

    /// The words of a text, in order, as the index keeps them.
    pub fn words(self, text: &str) -> Vec<String> {
        words_by(self.analyzer(), text)
    }

    /// The words of a question that are looked for: all of them where it has no others than stop words.
    pub fn words_of_question(self, text: &str) -> Vec<String> {
        let words = if self.drop_stop_words { words_by(self.chain(true), text) } else { Vec::new() };
        if words.is_empty() { self.words(text) } else { words }
    }
}

fn words_by(mut analyzer: TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while let Some(token) = stream.next() {
        words.push(token.text.clone());
    }
    words
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

    #[test]
    fn a_question_is_asked_by_the_words_of_its_subject() {
        let analysis = Analysis::DEFAULT;
        assert_eq!(analysis.words_of_question("What must the operator report?"), ["oper", "report"]);
        assert_eq!(analysis.words_of_question("What is it?"), ["what", "is", "it"]);
        assert_eq!(Analysis { drop_stop_words: false, ..analysis }.words_of_question("The fee"), ["the", "fee"]);
        assert_eq!(analysis.words("The fee"), ["the", "fee"]);
    }
}
