//! Cutting a text into passages: three ways, chosen for each collection. Sizes are in [`tokens`], or in sentences.
//!
//! What holds for each of them, and is property-tested: a passage is exactly a span of the text, neither begins nor ends
//! with white space, is never empty; passages ascend; and everything but white space stands in at least one of them.

mod fixed;
pub mod given;
mod recursive;
pub mod sentences;
pub mod tokens;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::chunk::Passage;
use super::extracted::Extracted;
use super::names::ChunkingStrategy;
use tokens::Tokens;

/// How a collection's documents are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunking {
    /// In which way.
    pub strategy: ChunkingStrategy,
    /// The largest passage: 16 to 1,000 tokens, or 1 to 50 sentences.
    pub size: u32,
    /// What neighbouring passages share at most: up to half of the size, or fewer sentences than the size.
    pub overlap: u32,
}

/// Size or overlap is out of range; the words say what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidChunking(pub &'static str);

impl Default for Chunking {
    /// What a collection gets that says nothing: passages that a model of 256 word pieces reads whole.
    fn default() -> Self {
        Self::usual(ChunkingStrategy::Recursive)
    }
}

impl Chunking {
    /// The usual size and overlap of a strategy.
    pub const fn usual(strategy: ChunkingStrategy) -> Self {
        let (size, overlap) = match strategy {
            ChunkingStrategy::Recursive => (200, 0),
            ChunkingStrategy::SentenceWindow => (5, 1),
            ChunkingStrategy::FixedTokens => (200, 40),
        };
        Self { strategy, size, overlap }
    }

    /// These values, if they are in range.
    pub const fn new(strategy: ChunkingStrategy, size: u32, overlap: u32) -> Result<Self, InvalidChunking> {
        let fits = match strategy {
            ChunkingStrategy::SentenceWindow => size >= 1 && size <= 50 && overlap < size,
            _ => size >= 16 && size <= 1_000 && overlap <= size / 2,
        };
        match (fits, strategy) {
            (true, _) => Ok(Self { strategy, size, overlap }),
            (false, ChunkingStrategy::SentenceWindow) => {
                Err(InvalidChunking("`size` is 1 to 50 sentences, and `overlap` is less than that"))
            }
            (false, _) => Err(InvalidChunking("`size` is 16 to 1000 tokens, and `overlap` at most half of that")),
        }
    }

    /// Cuts what was read in a document.
    pub fn cut(&self, extracted: &Extracted) -> Vec<Passage> {
        let text = extracted.text.as_str();
        let tokens = Tokens::of(text);
        let spans = match self.strategy {
            ChunkingStrategy::FixedTokens => fixed::windows(&tokens, 0..text.len(), self.size, self.overlap),
            ChunkingStrategy::SentenceWindow => sentences::windows(text, &tokens, self.size, self.overlap),
            ChunkingStrategy::Recursive => {
                let mut headings = bytes_of(text, extracted.headings.iter().map(|heading| heading.at));
                for at in &mut headings {
                    *at = text[..*at].rfind('\n').map_or(0, |end| end + 1);
                }
                recursive::split(text, &tokens, &headings, self.size, self.overlap)
            }
        };
        passages(text, &tokens, spans)
    }
}

/// Trims the spans, drops empty ones and those that hold nothing that the one before does not, and counts code points.
fn passages(text: &str, tokens: &Tokens, spans: Vec<Range<usize>>) -> Vec<Passage> {
    let mut found = Vec::with_capacity(spans.len());
    let mut counter = CodePoints { text, at: 0, count: 0 };
    let mut last_end = 0;
    for span in spans {
        let span = trimmed(text, span);
        if span.is_empty() || span.end <= last_end {
            continue;
        }
        last_end = span.end;
        let char_start = counter.at(span.start);
        let passage = &text[span.clone()];
        let length = u32::try_from(passage.chars().count()).unwrap_or(u32::MAX);
        found.push(Passage {
            text: passage.to_owned(),
            char_start,
            char_end: char_start.saturating_add(length),
            token_count: tokens.weight(span),
        });
    }
    found
}

fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let inner = &text[span.clone()];
    let start = span.start + (inner.len() - inner.trim_start().len());
    let end = span.end - (inner.len() - inner.trim_end().len());
    start..end.max(start)
}

/// Counts code points up to ascending places, each part of the text once.
struct CodePoints<'a> {
    text: &'a str,
    at: usize,
    count: u32,
}

impl CodePoints<'_> {
    fn at(&mut self, byte: usize) -> u32 {
        let passed = self.text[self.at..byte].chars().count();
        self.count = self.count.saturating_add(u32::try_from(passed).unwrap_or(u32::MAX));
        self.at = byte;
        self.count
    }
}

/// The bytes at which ascending code points begin; what lies behind the end is the end.
fn bytes_of(text: &str, places: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut bytes = text.char_indices().map(|(byte, _)| byte).enumerate().peekable();
    let mut found = Vec::new();
    for place in places {
        while bytes.next_if(|(index, _)| *index < place as usize).is_some() {}
        found.push(bytes.peek().map_or(text.len(), |(_, byte)| *byte));
    }
    found
}
