//! From a text to its words: split at what is neither letter nor digit, lower case, English stems.

use docket_domain::answer::words::STOP_WORDS;
use tantivy::tokenizer::{
    Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream,
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
}

/// The chains of an [`Analysis`], made once: a list of stop words takes longer to prepare than a question to split.
pub(super) struct Analyzers {
    passages: TextAnalyzer,
    questions: TextAnalyzer,
}

impl Analyzers {
    pub(super) fn new(analysis: Analysis) -> Self {
        Self { passages: analysis.chain(false), questions: analysis.chain(analysis.drop_stop_words) }
    }

    /// The words of a passage, in order, as the index keeps them.
    pub(super) fn passage(&self, text: &str) -> Vec<Token> {
        tokens(&self.passages, text)
    }

    /// The words of a question that are looked for: all of them where it has no others than stop words.
    pub(super) fn question(&self, text: &str) -> Vec<String> {
        let words = tokens(&self.questions, text);
        let words = if words.is_empty() { self.passage(text) } else { words };
        words.into_iter().map(|token| token.text).collect()
    }
}

fn tokens(analyzer: &TextAnalyzer, text: &str) -> Vec<Token> {
    let mut analyzer = analyzer.clone();
    let mut stream = analyzer.token_stream(text);
    let mut tokens = Vec::new();
    while let Some(token) = stream.next() {
        tokens.push(token.clone());
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(text: &str) -> Vec<String> {
        let tokens = Analyzers::new(Analysis::DEFAULT).passage(text);
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_are_stemmed_and_signs_are_nothing() {
        assert_eq!(
            passage("Reporting obligations (s. 12): \"AND\" -not*"),
            ["report", "oblig", "s", "12", "and", "not"]
        );
        assert!(passage("?! --").is_empty());
        assert_eq!(passage("The fee"), ["the", "fee"]);
    }

    #[test]
    fn a_question_is_asked_by_the_words_of_its_subject() {
        let analyzers = Analyzers::new(Analysis::DEFAULT);
        assert_eq!(analyzers.question("What must the operator report?"), ["oper", "report"]);
        assert_eq!(analyzers.question("What is it?"), ["what", "is", "it"]);
        let every_word = Analyzers::new(Analysis { drop_stop_words: false, ..Analysis::DEFAULT });
        assert_eq!(every_word.question("The fee"), ["the", "fee"]);
    }
}
