//! Retrieval as arithmetic: putting lists of passages together, comparing vectors, and judging a ranking.
//!
//! 1. [`fusion`]: several ranked lists into one. 2. [`mmr`]: fewer passages that say the same. 3. [`late_interaction`]: `MaxSim`.
//! 4. [`windows`]: a long text in parts that fit a model. 5. [`metrics`]: how good a ranking is, exactly as `trec_eval` says.
//! 6. [`quotes`]: the same for quotes, whatever way the texts were cut. 7. [`statistics`]: how sure that is.

pub mod fusion;
pub mod late_interaction;
pub mod metrics;
pub mod mmr;
pub mod quotes;
pub mod statistics;
pub mod windows;

pub use fusion::{convex_combination, reciprocal_rank_fusion};
pub use late_interaction::max_sim;
pub use mmr::maximal_marginal_relevance;
