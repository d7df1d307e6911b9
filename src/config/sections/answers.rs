//! The section `answers`: bounds of answering from documents.

use crate::config::setting::{Rule, section};

section! {
    /// Answers from documents (`POST /v1/answers`).
    Answers = "answers" {
        /// From the question to the end of the answer, in seconds.
        timeout_seconds: u64 = "60", Rule::Integer { min: 1, max: 600 };
        /// Output tokens of a model at most.
        max_output_tokens: u32 = "800", Rule::Integer { min: 16, max: 32_000 };
        /// Passages that a model gets.
        passages: usize = "8", Rule::Integer { min: 1, max: 50 };
        /// Whether the passages are reranked before, by `plugins.reranker` or late interaction; takes about a second more.
        rerank: bool = "false", Rule::Flag;
        /// Answers at once in this process; more are asked to come back (429).
        max_concurrent: usize = "32", Rule::Integer { min: 1, max: 10_000 };
        /// What a tenant may spend on models in a calendar month (UTC), in dollars, unless it has a budget of its own.
        monthly_budget_dollars: f64 = "10.0", Rule::Number { min: 0.0, max: 1_000_000.0 };
        /// How long answers are kept, in days.
        keep_days: u32 = "90", Rule::Integer { min: 1, max: 3_650 };
    }
}
