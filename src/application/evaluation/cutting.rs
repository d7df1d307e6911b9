//! Datasets cut into passages as the documents of a collection are, so that ways of cutting can be compared.

use std::collections::BTreeMap;

use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::Sight;
use docket_domain::document::{Chunking, Extracted};
use docket_domain::ids::TenantId;
use docket_domain::principal::{Actor, Role, Roles};

use super::dataset::{Dataset, DatasetError, Document, Question, Relevance};
use super::gold::{GoldQuestion, Kind};

/// A document of a gold set with what a parser read in it.
#[derive(Debug, Clone)]
pub struct ReadDocument {
    /// The name that quotes give it.
    pub name: String,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// Its text and its headings.
    pub extracted: Extracted,
}

impl Dataset {
    /// The same set with every document cut into passages. Each has its document's id, and stands below its document's title as
    /// passages of the service stand below their headings.
    #[must_use]
    pub fn cut(&self, chunking: Chunking) -> Self {
        let passages = |document: &Document| {
            let extracted = Extracted { text: document.text.clone(), ..Extracted::default() };
            let mut texts: Vec<String> = chunking.cut(&extracted).into_iter().map(|passage| passage.text).collect();
            if texts.is_empty() {
                // A title alone can be found, too.
                texts.push(String::new());
            }
            let passage = |text| Document {
                id: document.id.clone(),
                title: document.title.clone(),
                text,
                confidentiality: document.confidentiality,
            };
            texts.into_iter().map(passage).collect::<Vec<_>>()
        };
        Self { documents: self.documents.iter().flat_map(passages).collect(), ..self.clone() }
    }
}

/// The answerable questions of a gold set over its documents, cut; what is judged are the quotes that answers need.
pub fn gold_dataset(
    documents: &[ReadDocument],
    questions: &[GoldQuestion],
    chunking: Chunking,
) -> Result<Dataset, DatasetError> {
    let passages = documents.iter().flat_map(|document| {
        let passages = chunking.cut(&document.extracted).into_iter();
        passages.map(|passage| Document {
            id: document.name.clone(),
            title: document.extracted.headings_above(passage.char_start).join("\n"),
            text: passage.text,
            confidentiality: document.confidentiality,
        })
    });
    let asked = questions.iter().filter(|one| one.kind == Kind::Answerable && !one.supports.is_empty());
    let quotes: BTreeMap<String, _> = asked.clone().map(|one| (one.id.clone(), one.supports.clone())).collect();
    if quotes.is_empty() {
        return Err(DatasetError::Unjudged);
    }
    let question =
        |one: &GoldQuestion| Question { id: one.id.clone(), text: one.question.clone(), sight: sight_of(one.role) };
    Ok(Dataset {
        documents: passages.collect(),
        questions: asked.map(question).collect(),
        relevance: Relevance::Quotes(quotes),
    })
}

fn sight_of(role: Role) -> Sight {
    Sight::of(&Actor { roles: Roles::of(&[role]), ..Actor::system(TenantId::PLATFORM) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use docket_domain::document::{ChunkingStrategy, Heading};

    use super::*;
    use crate::application::evaluation::gold::{Quote, Support};

    const TEXT: &str = "Fees\nA berth costs 300 crowns. A crane costs 40 crowns. Both are due in May.";

    fn read() -> ReadDocument {
        let headings = vec![Heading { level: 1, at: 0, text: "Fees".to_owned() }];
        let extracted = Extracted { text: TEXT.to_owned(), headings, ..Extracted::default() };
        ReadDocument { name: "fees.md".to_owned(), confidentiality: Confidentiality::Internal, extracted }
    }

    fn question(kind: Kind, role: Role, quote: &str) -> GoldQuestion {
        let first = Quote { document: "fees.md".to_owned(), quote: quote.to_owned() };
        GoldQuestion {
            id: "one".to_owned(),
            question: "What does a berth cost?".to_owned(),
            kind,
            role,
            reference_answer: String::new(),
            supports: vec![Support { first, alternatives: Vec::new() }],
            forbidden: Vec::new(),
        }
    }

    #[test]
    fn passages_of_a_gold_set_stand_below_their_headings_and_keep_their_level() {
        let chunking = Chunking::new(ChunkingStrategy::SentenceWindow, 1, 0).unwrap();
        let asked = [question(Kind::Answerable, Role::Reporter, "300 crowns")];
        let set = gold_dataset(&[read()], &asked, chunking).unwrap();
        assert_eq!(set.documents.len(), 3);
        assert_eq!(set.documents[1].whole(), "Fees\nA crane costs 40 crowns.");
        let covers = |one: &Document| set.questions[0].sight.covers(one.confidentiality);
        assert!(!set.documents.iter().any(covers), "a reporter sees no internal document");
    }

    #[test]
    fn only_answerable_questions_judge_retrieval() {
        let asked = [question(Kind::Unanswerable, Role::Caseworker, "300 crowns")];
        assert!(matches!(gold_dataset(&[read()], &asked, Chunking::default()), Err(DatasetError::Unjudged)));
    }

    #[test]
    fn passages_of_a_document_keep_its_id_and_its_title() {
        let document = |text: &str| Document {
            id: "d".to_owned(),
            title: "Port".to_owned(),
            text: text.to_owned(),
            confidentiality: Confidentiality::Public,
        };
        let set = Dataset {
            documents: vec![document(TEXT), document("")],
            questions: Vec::new(),
            relevance: Relevance::Documents(BTreeMap::new()),
        };
        let cut = set.cut(Chunking::new(ChunkingStrategy::FixedTokens, 16, 0).unwrap());
        let wholes: Vec<String> = cut.documents.iter().map(Document::whole).collect();
        assert!(wholes.len() > 2, "{wholes:?}");
        assert!(cut.documents.iter().all(|passage| passage.id == "d"));
        assert!(wholes.iter().all(|whole| whole.starts_with("Port\n")), "{wholes:?}");
        assert_eq!(wholes.last().unwrap(), "Port\n", "a document without text can be found by its title");
    }
}
