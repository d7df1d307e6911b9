//! Answers over passages: sentences, what supports them, citations that can be checked, and answering by extraction.

pub mod check;
pub mod extract;
pub mod grading;
pub mod question;
mod relative;
pub mod sentences;
pub mod support;
mod to_programs;
pub mod verdicts;
pub mod words;

pub use check::{Checked, CheckedSentence, Citation, check};
pub use extract::{Extract, ExtractRules, Line, extract};
pub use sentences::sentences;
pub use support::{Support, support};
