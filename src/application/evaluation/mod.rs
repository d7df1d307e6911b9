//! Evaluation: how good retrieval and answers are, on judged questions, with how sure that is.
//!
//! Retrieval: 1. [`dataset`]: questions and judgments in the BEIR layout. 2. [`corpus`]: the passages as the pipelines see them.
//! 3. [`cutting`]: documents cut as collections cut them. 4. [`pipelines`]: a ranking for each question by each pipeline.
//! 5. [`late_interaction`]: candidates compared token by token. 6. [`judging`]: what a ranking is worth. 7. [`report`]: figures, intervals,
//! tests, and the baseline. 8. [`chunkings`]: the same for each way of cutting, side by side.
//! Answers: 1. [`gold`]: questions with reference answers. 2. [`answers`]: each asked and graded by words. 3. [`plugin_grader`]: by a
//! plugin. 4. [`judged_answers`]: by a model, with [`judge_prompts`], [`model_judge`], [`judge_replies`]. 5. [`answers_report`] and
//! [`judge_report`]: what it adds up to, and how far the graders agree.

pub mod answers;
pub mod answers_report;
pub mod chunkings;
pub mod corpus;
pub mod cutting;
pub mod dataset;
pub mod gold;
pub mod judge_prompts;
pub mod judge_replies;
pub mod judge_report;
pub mod judged_answers;
pub mod judging;
pub mod late_interaction;
pub mod model_judge;
pub mod pipelines;
pub mod plugin_grader;
pub mod report;
