//! The names of documents' states, of the ways to cut them, and of what is wrong with those that cannot be read.

use crate::named_enum;

named_enum! {
    /// Where a document stands.
    DocumentStatus, "document status" {
        /// Waits to be read.
        Queued = "queued",
        /// Is being read.
        Processing = "processing",
        /// Its latest content can be searched.
        Ready = "ready",
        /// Its latest content could not be read; what was read of the content before can still be searched.
        Failed = "failed",
    }
}

named_enum! {
    /// How a text is cut into passages.
    ChunkingStrategy, "chunking strategy" {
        /// At headings, then paragraphs, lines, sentences, words: as coarse as the size allows. Size and overlap in tokens.
        Recursive = "recursive",
        /// So many sentences at a time, beginning anew after each step. Size and overlap in sentences.
        SentenceWindow = "sentence_window",
        /// So many tokens at a time, wherever that ends. Size and overlap in tokens.
        FixedTokens = "fixed_tokens",
    }
}

named_enum! {
    /// Why a document could not be read.
    FailureCode, "failure code" {
        /// It is protected by a password.
        Encrypted = "encrypted",
        /// It is not what its name says, or damaged.
        Broken = "broken",
        /// There is no text in it.
        Empty = "empty",
        /// It is larger than what is read: bytes, pages, characters.
        TooLarge = "too_large",
        /// It is small but unpacks to far too much.
        Bomb = "bomb",
        /// No parser reads this kind of file.
        Unsupported = "unsupported",
        /// The parser did not answer in time, or died of it; or the plugin that cuts the collection's texts did, or gave what is no cut.
        ParserFailed = "parser_failed",
        /// The address gave no document.
        Unreachable = "unreachable",
    }
}
