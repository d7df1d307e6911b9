//! Documents that questions are answered from: what they are, what was read in them, and the passages that searches find.
//!
//! 1. [`names`]: states of a document, kinds of chunking, why a document could not be read.
//! 2. [`record`]: the document and its collection.
//! 3. [`visibility`]: who may know of a document, and so of its passages.
//! 4. [`extracted`]: the text that was read, with its pages and headings.
//! 5. [`chunk`]: a passage and where it stands.
//! 6. [`chunking`]: three ways of cutting a text into passages.

pub mod chunk;
pub mod chunking;
pub mod extracted;
pub mod names;
pub mod record;
pub mod visibility;

pub use chunk::{Chunk, Passage, with_headings};
pub use chunking::Chunking;
pub use extracted::{Extracted, Heading};
pub use names::{ChunkingStrategy, DocumentStatus, FailureCode};
pub use record::{Collection, Document, Failure};
pub use visibility::may_see;
