//! A gold set: documents with their manifest, and questions with reference answers and the passages that support them, in the
//! layout of `demo/corpus` and `demo/gold` (demo/corpus/README.md).

use std::io::BufRead;

use docket_domain::answer::grading::holds;
use docket_domain::principal::Role;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::dataset::DatasetError;

/// What a question is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The documents answer it.
    Answerable,
    /// What the asker may see does not answer it.
    Unanswerable,
    /// It, or a passage that it finds, tries to make the answer say something else.
    Adversarial,
}

/// A quote in a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Quote {
    /// The name of the document below the folder of its tenant.
    pub document: String,
    /// The words.
    pub quote: String,
}

/// A passage that an answer needs, or one that does as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Support {
    /// The passage.
    #[serde(flatten)]
    pub first: Quote,
    /// Others that say the same.
    #[serde(default)]
    pub alternatives: Vec<Quote>,
}

impl Support {
    /// Whether a text of this document holds the quote or an alternative.
    pub fn is_held_by(&self, document: &str, text: &str) -> bool {
        std::iter::once(&self.first)
            .chain(&self.alternatives)
            .any(|quote| quote.document == document && holds(text, &quote.quote))
    }
}

/// A question with everything that is known of its answer.
#[derive(Debug, Clone, Deserialize)]
pub struct GoldQuestion {
    /// Its id.
    pub id: String,
    /// The question.
    pub question: String,
    /// What it is.
    pub kind: Kind,
    /// With whose rights it is asked.
    pub role: Role,
    /// What a good answer says.
    pub reference_answer: String,
    /// The passages that it needs; none where there are none.
    pub supports: Vec<Support>,
    /// What no answer may say.
    pub forbidden: Vec<String>,
}

impl GoldQuestion {
    /// Which half of the set it belongs to. Rules are chosen by looking at the first half; the second shows whether they hold.
    pub fn half(&self) -> Half {
        Half::of(&self.id)
    }
}

/// A half of the questions, by the hash of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// May be looked at when rules are chosen.
    Tuning,
    /// May not.
    HeldOut,
}

impl Half {
    /// The half that the question with this id belongs to.
    pub fn of(id: &str) -> Self {
        if Sha256::digest(id.as_bytes())[0] % 2 == 0 { Self::Tuning } else { Self::HeldOut }
    }
}

/// Reads the questions, one JSON object a line.
pub fn read_questions(lines: impl BufRead) -> Result<Vec<GoldQuestion>, DatasetError> {
    const FILE: &str = "questions.jsonl";
    let mut questions = Vec::new();
    for (line, text) in (1..).zip(lines.lines()) {
        let text = text.map_err(|source| DatasetError::Unreadable { file: FILE, source })?;
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |error: serde_json::Error| DatasetError::Line { file: FILE, line, reason: error.to_string() };
        questions.push(serde_json::from_str(&text).map_err(wrong)?);
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_demo_questions_are_read_and_fall_into_two_halves() {
        let questions = read_questions(include_str!("../../../demo/gold/questions.jsonl").as_bytes()).unwrap();
        assert!(questions.len() >= 60);
        let count = |kind| questions.iter().filter(|question| question.kind == kind).count();
        assert!(count(Kind::Unanswerable) >= 10 && count(Kind::Adversarial) >= 10);
        let held_out = questions.iter().filter(|question| question.half() == Half::HeldOut).count();
        assert!(held_out > questions.len() / 3 && held_out < questions.len() * 2 / 3, "{held_out}");
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        let error = read_questions("\n{\"id\": 1}\n".as_bytes()).unwrap_err().to_string();
        assert!(error.contains("questions.jsonl, line 2"), "{error}");
    }

    #[test]
    fn an_alternative_does_as_well_but_only_in_its_own_document() {
        let quote = |document: &str, quote: &str| Quote { document: document.to_owned(), quote: quote.to_owned() };
        let support = Support { first: quote("a.md", "six hours"), alternatives: vec![quote("b.md", "6 hours")] };
        assert!(support.is_held_by("a.md", "within six hours") && support.is_held_by("b.md", "within 6 hours"));
        assert!(!support.is_held_by("b.md", "within six hours"));
    }
}
