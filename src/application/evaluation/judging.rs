//! What a ranking of passages is worth: documents count once, as their best passage, and quotes at the first passage that holds them.

use std::collections::HashSet;

use docket_domain::document::chunking::tokens::Tokens;
use docket_domain::retrieval::metrics::{Judgments, Measures, measure, trec_order};
use docket_domain::retrieval::quotes::measure_quotes;

use super::dataset::{Dataset, Document, Relevance};
use super::gold::Support;

/// Ranks that count.
pub const CUT: usize = 10;
/// Passages that a model usually gets.
pub const FEW: usize = 5;
/// Tokens of text, as documents are cut by, that a reader takes from the top: of short passages more, of long ones fewer.
pub const READ_TOKENS: u32 = 1_000;

/// What a pipeline achieved on a question.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Judged {
    /// Over the first [`CUT`].
    pub measures: Measures,
    /// The share of what is relevant that the first [`FEW`] passages hold.
    pub recall_of_few: f64,
    /// The share that the first passages hold whose texts have [`READ_TOKENS`] together: the same reading for every way of cutting.
    pub recall_of_tokens: f64,
}

/// Judges a ranking: places in the dataset with their scores, in any order.
pub fn judge(dataset: &Dataset, question: &str, ranking: &[(usize, f64)]) -> Judged {
    // Equal scores stand by descending id, as in trec_eval; passages of one document by descending place.
    let with_id = |(place, score): &(usize, f64)| ((dataset.documents[*place].id.as_str(), *place), *score);
    let mut run: Vec<((&str, usize), f64)> = ranking.iter().map(with_id).collect();
    trec_order(&mut run);
    let passages: Vec<&Document> = run.iter().map(|((_, place), _)| &dataset.documents[*place]).collect();
    let of = |passages: &[&Document], k: usize| match &dataset.relevance {
        Relevance::Documents(judgments) => {
            judgments.get(question).map_or_else(Measures::default, |judged| by_documents(passages, judged, k))
        }
        Relevance::Quotes(quotes) => {
            quotes.get(question).map_or_else(Measures::default, |quotes| by_quotes(passages, quotes, k))
        }
    };
    Judged {
        measures: of(&passages, CUT),
        recall_of_few: of(&passages[..passages.len().min(FEW)], FEW).recall,
        recall_of_tokens: of(read(&passages), usize::MAX).recall,
    }
}

fn by_documents(passages: &[&Document], judged: &Judgments, k: usize) -> Measures {
    let mut seen = HashSet::new();
    let ids = passages.iter().map(|passage| passage.id.as_str());
    measure(ids.filter(|id| seen.insert(*id)), judged, k)
}

fn by_quotes(passages: &[&Document], quotes: &[Support], k: usize) -> Measures {
    let held = |passage: &&Document| -> Vec<usize> {
        let holds = |support: &Support| support.is_held_by(&passage.id, &passage.text);
        quotes.iter().enumerate().filter(|(_, support)| holds(support)).map(|(number, _)| number).collect()
    };
    measure_quotes(passages.iter().take(k).map(held), quotes.len(), k)
}

/// The first passages, up to the one that would be too much.
fn read<'a, 'b>(passages: &'a [&'b Document]) -> &'a [&'b Document] {
    let mut sum = 0;
    let fit = passages.iter().take_while(|passage| {
        sum += tokens(&passage.text);
        sum <= READ_TOKENS
    });
    &passages[..fit.count()]
}

/// Of the quotes that are judged, how many no passage holds whole, and how many there are; none where documents are judged.
pub fn cut_in_two(dataset: &Dataset) -> Option<(usize, usize)> {
    let Relevance::Quotes(quotes) = &dataset.relevance else { return None };
    let held = |support: &&Support| dataset.documents.iter().any(|one| support.is_held_by(&one.id, &one.text));
    let all = quotes.values().flatten();
    Some((all.clone().filter(|support| !held(support)).count(), all.count()))
}

/// How many tokens a text has, as documents are cut by.
pub fn tokens(text: &str) -> u32 {
    Tokens::of(text).weight(0..text.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "shares of two and ranks are exact")]
    use std::collections::BTreeMap;

    use docket_domain::case::Confidentiality;
    use docket_domain::document::{Chunking, ChunkingStrategy, Extracted};

    use super::*;
    use crate::application::evaluation::cutting::{ReadDocument, gold_dataset};
    use crate::application::evaluation::gold::read_questions;

    fn set(passages: &[(&str, &str)], relevant: &[&str]) -> Dataset {
        let document = |(id, text): &(&str, &str)| Document {
            id: (*id).to_owned(),
            title: String::new(),
            text: (*text).to_owned(),
            confidentiality: Confidentiality::Public,
        };
        let judged = relevant.iter().map(|id| ((*id).to_owned(), 1)).collect();
        Dataset {
            documents: passages.iter().map(document).collect(),
            questions: Vec::new(),
            relevance: Relevance::Documents(BTreeMap::from([("q".to_owned(), judged)])),
        }
    }

    #[test]
    fn the_best_passage_of_a_document_counts_once() {
        let set = set(&[("a", "x"), ("a", "y"), ("b", "z")], &["b"]);
        let judged = judge(&set, "q", &[(0, 0.9), (1, 0.8), (2, 0.7)]);
        assert_eq!(judged.measures.reciprocal_rank, 0.5, "the second passage of a takes no rank");
        let judged = judge(&set, "q", &[(0, 0.1), (2, 0.7), (1, 0.8)]);
        assert_eq!(judged.measures.reciprocal_rank, 0.5, "a stands where its best passage does");
    }

    #[test]
    fn documents_of_equal_scores_stand_by_descending_id() {
        let set = set(&[("a", "x"), ("b", "y")], &["b"]);
        assert_eq!(judge(&set, "q", &[(0, 0.5), (1, 0.5)]).measures.reciprocal_rank, 1.0);
    }

    #[test]
    fn a_reader_of_a_thousand_tokens_gets_more_short_passages_than_long_ones() {
        let long = "word ".repeat(600);
        let short = "word ".repeat(150);
        let reads = |text: &str| {
            let passages: Vec<(String, &str)> = (0..8).map(|place| (format!("d{place}"), text)).collect();
            let passages: Vec<(&str, &str)> = passages.iter().map(|(id, text)| (id.as_str(), *text)).collect();
            let ids: Vec<&str> = passages.iter().map(|(id, _)| *id).collect();
            let ranking: Vec<(usize, f64)> = (0..8).map(|place| (place, 1.0)).collect();
            judge(&set(&passages, &ids), "q", &ranking)
        };
        assert_eq!((reads(&long).recall_of_tokens, reads(&long).recall_of_few), (1.0 / 8.0, 5.0 / 8.0));
        assert_eq!(reads(&short).recall_of_tokens, 6.0 / 8.0);
    }

    #[test]
    fn a_quote_that_was_cut_in_two_is_held_by_neither_part() {
        let question =
            r#"{"id": "q", "question": "?", "kind": "answerable", "role": "reporter", "reference_answer": "",
            "supports": [{"document": "d", "quote": "wire ropes are taken out of service after 96 months"}],
            "forbidden": []}"#
                .replace('\n', " ");
        let questions = read_questions(question.as_bytes()).unwrap_or_default();
        let text = "Lines are looked at before every use, and worn ones are put aside by the crew at once. \
                    Wire ropes are taken out of service after 96 months.";
        let extracted = Extracted { text: text.to_owned(), ..Extracted::default() };
        let document = ReadDocument { name: "d".to_owned(), confidentiality: Confidentiality::Public, extracted };
        let found = |strategy, size| {
            let chunking = Chunking::new(strategy, size, 0).unwrap_or_default();
            let set = gold_dataset(std::slice::from_ref(&document), &questions, chunking).map_err(|_| "unjudged");
            set.map(|set| {
                let ranking: Vec<(usize, f64)> = (0..set.documents.len()).map(|place| (place, 1.0)).collect();
                (judge(&set, "q", &ranking).measures.recall, cut_in_two(&set))
            })
        };
        assert_eq!(found(ChunkingStrategy::FixedTokens, 23), Ok((0.0, Some((1, 1)))), "cut after so many tokens");
        assert_eq!(found(ChunkingStrategy::SentenceWindow, 1), Ok((1.0, Some((0, 1)))), "cut between sentences");
    }
}
