//! Evaluation: how good retrieval is, on judged questions, with how sure that is.
//!
//! 1. [`dataset`]: questions and judgments in the BEIR layout. 2. [`corpus`]: the passages as the pipelines see them.
//! 3. [`pipelines`]: a ranking for each question by each pipeline. 4. [`report`]: figures, intervals, tests, and the baseline.

pub mod corpus;
pub mod dataset;
pub mod pipelines;
pub mod report;
