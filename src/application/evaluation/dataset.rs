//! A judged set of questions in the layout of BEIR (Thakur et al. 2021): passages, questions, and which passage answers which.

use std::collections::BTreeMap;
use std::io::BufRead;

use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::Sight;
use docket_domain::retrieval::metrics::Judgments;
use serde::Deserialize;

use super::gold::Support;

/// A passage: a document, or a part of one that was cut.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    /// Its id in the judgments; the parts of a document have its id.
    #[serde(rename = "_id")]
    pub id: String,
    /// Its title or the headings above it, possibly empty.
    #[serde(default)]
    pub title: String,
    /// Its text.
    pub text: String,
    /// Who may see it.
    #[serde(skip, default = "public")]
    pub confidentiality: Confidentiality,
}

impl Document {
    /// Title and text, as everything reads them.
    pub fn whole(&self) -> String {
        if self.title.is_empty() { self.text.clone() } else { format!("{}\n{}", self.title, self.text) }
    }
}

const fn public() -> Confidentiality {
    Confidentiality::Public
}

/// A question.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// Its id in the judgments.
    #[serde(rename = "_id")]
    pub id: String,
    /// The question.
    pub text: String,
    /// What who asks it may see.
    #[serde(skip, default = "everything")]
    pub sight: Sight,
}

const fn everything() -> Sight {
    Sight { public: true, internal: true, restricted: true }
}

/// What answers the questions, by their ids.
#[derive(Debug, Clone)]
pub enum Relevance {
    /// Documents, with their grades.
    Documents(BTreeMap<String, Judgments>),
    /// Passages that hold these quotes whole.
    Quotes(BTreeMap<String, Vec<Support>>),
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// It cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which file.
        file: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what the layout says.
    #[error("{file}, line {line}: {reason}")]
    Line {
        /// Which file.
        file: &'static str,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// No question has a relevant passage.
    #[error("no question has a relevant passage: nothing can be measured")]
    Unjudged,
}

/// Passages, the questions that have at least one relevant passage, and what is relevant.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// In the order of the file; those of one document one after the other.
    pub documents: Vec<Document>,
    /// In the order of the file.
    pub questions: Vec<Question>,
    /// By question.
    pub relevance: Relevance,
}

impl Dataset {
    /// Reads passages, questions and judgments, each from a file of this name.
    pub fn read(
        documents: (&'static str, impl BufRead),
        queries: (&'static str, impl BufRead),
        qrels: (&'static str, impl BufRead),
    ) -> Result<Self, DatasetError> {
        let documents: Vec<Document> = json_lines(documents.0, documents.1)?;
        let mut questions: Vec<Question> = json_lines(queries.0, queries.1)?;
        let judgments = read_judgments(qrels.0, qrels.1)?;
        let relevant = |id: &str| judgments.get(id).is_some_and(|judged| judged.values().any(|grade| *grade > 0));
        questions.retain(|question| relevant(&question.id));
        if questions.is_empty() {
            return Err(DatasetError::Unjudged);
        }
        Ok(Self { documents, questions, relevance: Relevance::Documents(judgments) })
    }
}

fn lines(file: &'static str, input: impl BufRead) -> impl Iterator<Item = Result<(usize, String), DatasetError>> {
    (1..).zip(input.lines()).map(move |(line, text)| {
        text.map(|text| (line, text)).map_err(|source| DatasetError::Unreadable { file, source })
    })
}

fn json_lines<T: for<'de> Deserialize<'de>>(file: &'static str, input: impl BufRead) -> Result<Vec<T>, DatasetError> {
    let mut rows = Vec::new();
    for line in lines(file, input) {
        let (line, text) = line?;
        if !text.trim().is_empty() {
            let row = serde_json::from_str(&text);
            rows.push(row.map_err(|error| DatasetError::Line { file, line, reason: error.to_string() })?);
        }
    }
    Ok(rows)
}

/// Tab-separated question, passage and grade; the first line names the columns.
fn read_judgments(file: &'static str, input: impl BufRead) -> Result<BTreeMap<String, Judgments>, DatasetError> {
    let mut judgments: BTreeMap<String, Judgments> = BTreeMap::new();
    for line in lines(file, input).skip(1) {
        let (line, text) = line?;
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |reason: &str| DatasetError::Line { file, line, reason: reason.to_owned() };
        let mut columns = text.trim_end().split('\t');
        let (Some(question), Some(document), Some(grade)) = (columns.next(), columns.next(), columns.next()) else {
            return Err(wrong("must have three columns: query-id, corpus-id, score"));
        };
        let grade: i64 = grade.trim().parse().map_err(|_| wrong("score must be a whole number"))?;
        let grade = u32::try_from(grade.max(0)).map_err(|_| wrong("score is too large"))?;
        judgments.entry(question.to_owned()).or_default().insert(document.to_owned(), grade);
    }
    Ok(judgments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_without_relevant_passages_are_left_out() {
        let documents =
            "{\"_id\":\"d1\",\"title\":\"T\",\"text\":\"x\",\"metadata\":{}}\n{\"_id\":\"d2\",\"text\":\"y\"}\n";
        let queries = "{\"_id\":\"q1\",\"text\":\"a\"}\n\n{\"_id\":\"q2\",\"text\":\"b\"}\n";
        let read = |qrels: &str| {
            Dataset::read(("d", documents.as_bytes()), ("q", queries.as_bytes()), ("qrels.tsv", qrels.as_bytes()))
        };
        let dataset = read("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td1\t0\n").unwrap();
        assert_eq!((dataset.documents.len(), dataset.questions.len()), (2, 1));
        assert_eq!(dataset.documents[0].whole(), "T\nx");
        assert!(matches!(read("h\n"), Err(DatasetError::Unjudged)));
        assert!(matches!(read("h\nq1 d1 1\n"), Err(DatasetError::Line { line: 2, .. })));
    }
}
