//! Text to token numbers: the model's own `WordPiece` vocabulary, between its two marks, cut to its window.

use std::path::Path;

use tokenizers::Tokenizer;

use crate::application::ports::embedder::EmbedderError;

/// A tokenizer with the marks that stand around a text.
pub(super) struct TextTokens {
    tokenizer: Tokenizer,
    start: i32,
    end: i32,
    window: usize,
}

impl TextTokens {
    /// Reads `tokenizer.json`.
    pub(super) fn read(path: &Path, window: usize) -> Result<Self, String> {
        let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| in_words(&error))?;
        // A text that spells a mark is a text: marks are added here and nowhere else.
        tokenizer.set_encode_special_tokens(true);
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| in_words(&error))?;
        let mark = |word: &str| {
            let found = tokenizer.token_to_id(word);
            found
                .and_then(|id| i32::try_from(id).ok())
                .ok_or_else(|| in_words(&format!("{word} is not in the vocabulary")))
        };
        let (start, end) = (mark("[CLS]")?, mark("[SEP]")?);
        Ok(Self { tokenizer, start, end, window })
    }

    /// The tokens of `text` between the marks, at most `window` of them.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<i32>, EmbedderError> {
        let found = self.tokenizer.encode_fast(self.readable(text), false).map_err(EmbedderError::Failed)?;
        let found = found.get_ids();
        let mut ids = Vec::with_capacity(self.window.min(found.len() + 2));
        ids.push(self.start);
        for token in found.iter().take(self.window.saturating_sub(2)) {
            ids.push(i32::try_from(*token).map_err(|error| EmbedderError::Failed(Box::new(error)))?);
        }
        ids.push(self.end);
        Ok(ids)
    }

    /// How many tokens `text` has, without the marks.
    pub(super) fn count(&self, text: &str) -> Result<usize, EmbedderError> {
        Ok(self.tokenizer.encode_fast(text, false).map_err(EmbedderError::Failed)?.len())
    }

    /// The part of `text` that can matter: no token is longer than a hundred characters, so the rest of an enormous text is never read.
    fn readable<'a>(&self, text: &'a str) -> &'a str {
        let longest = self.window.saturating_mul(128);
        if text.len() <= longest {
            return text;
        }
        let end = (0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        &text[..end]
    }
}
