//! The index of words by itself.
#![allow(clippy::cast_precision_loss)]

use std::collections::BTreeMap;

use docket::adapters::bm25::{Analysis, TantivyIndex};
use docket::application::ports::KeywordIndex;
use docket::application::ports::case_reader::Viewer;
use docket::application::ports::keyword_index::{KeywordChange, KeywordEntry};
use docket::application::ports::passage_index::PassageFilter;
use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::Sight;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use proptest::prelude::*;
use uuid::Uuid;

const ALL: Sight = Sight { public: true, internal: true, restricted: true };
const PUBLIC: Sight = Sight { public: true, internal: false, restricted: false };

fn viewer(tenant: u128, sight: Sight) -> Viewer {
    Viewer { tenant_id: TenantId(Uuid::from_u128(tenant)), principal_id: PrincipalId(Uuid::from_u128(77)), sight }
}

fn entry(tenant: u128, chunk: u128, text: &str) -> KeywordEntry {
    KeywordEntry {
        tenant_id: TenantId(Uuid::from_u128(tenant)),
        chunk_id: ChunkId(Uuid::from_u128(chunk)),
        document_id: DocumentId(Uuid::from_u128(chunk / 10)),
        generation: 1,
        collection_id: CollectionId(Uuid::from_u128(5)),
        confidentiality: Confidentiality::Public,
        created_by: PrincipalId(Uuid::from_u128(1)),
        text: text.to_owned(),
    }
}

fn index(entries: Vec<KeywordEntry>) -> TantivyIndex {
    let index = TantivyIndex::new(Analysis::DEFAULT);
    index.apply(entries.into_iter().map(KeywordChange::Add).collect()).unwrap();
    index
}

fn found(index: &TantivyIndex, viewer: Viewer, text: &str) -> Vec<u128> {
    let hits = index.search(viewer, text, &PassageFilter::default(), 10).unwrap();
    hits.into_iter().map(|(id, _)| id.0.as_u128()).collect()
}

#[test]
fn tenants_share_neither_passages_nor_scores() {
    let alone = index(vec![entry(1, 10, "breach of the licence"), entry(1, 20, "annual fee")]);
    let crowded = index(
        (100..200)
            .map(|chunk| entry(2, chunk, "breach breach licence"))
            .chain([entry(1, 10, "breach of the licence"), entry(1, 20, "annual fee")])
            .collect(),
    );
    assert_eq!(found(&crowded, viewer(1, ALL), "breach"), [10]);
    assert!(found(&crowded, viewer(3, ALL), "breach").is_empty());
    let score =
        |index: &TantivyIndex| index.search(viewer(1, ALL), "breach", &PassageFilter::default(), 1).unwrap()[0].1;
    assert!((score(&alone) - score(&crowded)).abs() < f64::EPSILON, "a score tells of other tenants");
}

#[test]
fn a_change_moves_the_generation_of_its_tenant_alone_and_a_new_index_that_of_all() {
    let index = index(vec![entry(1, 10, "annual fee")]);
    let generations = || [1, 2].map(|tenant| index.generation(TenantId(Uuid::from_u128(tenant))));
    let [first, second] = generations();
    assert!(first > second);
    index.apply(vec![KeywordChange::Add(entry(2, 20, "breach"))]).unwrap();
    let [still, moved] = generations();
    assert_eq!(still, first);
    assert!(moved > second);
    index.start_over();
    index.publish();
    let replaced = generations();
    assert!(replaced[0] > first && replaced[1] > moved, "{replaced:?}");
}

#[test]
fn what_may_not_be_seen_is_not_found() {
    let mut secret = entry(1, 10, "secret reactor");
    secret.confidentiality = Confidentiality::Restricted;
    let mut own = entry(1, 20, "secret of my own");
    own.confidentiality = Confidentiality::Restricted;
    own.created_by = PrincipalId(Uuid::from_u128(77));
    let index = index(vec![secret, own, entry(1, 30, "no secret")]);
    let mut seen = found(&index, viewer(1, PUBLIC), "secret");
    seen.sort_unstable();
    assert_eq!(seen, [20, 30]);
    let nothing = Sight { public: false, internal: false, restricted: false };
    assert!(found(&index, viewer(1, nothing), "secret").is_empty());
    assert_eq!(found(&index, viewer(1, ALL), "secret").len(), 3);
}

#[test]
fn a_question_has_no_syntax() {
    let index = index(vec![entry(1, 10, "report and record")]);
    for text in
        ["report AND NOT record", "\"report", "text:report", "report^2 (", "+report -record", "{report", "report*"]
    {
        assert_eq!(found(&index, viewer(1, ALL), text), [10], "{text}");
    }
    for text in ["", "  ", "?!", "\u{0}"] {
        assert!(found(&index, viewer(1, ALL), text).is_empty(), "{text:?}");
    }
    found(&index, viewer(1, ALL), &"word ".repeat(5_000));
}

#[test]
fn a_removed_reading_is_gone_and_filters_restrict() {
    let index = index(vec![entry(1, 10, "annual report"), entry(1, 11, "annual fee"), entry(1, 20, "annual audit")]);
    let only = PassageFilter { documents: vec![DocumentId(Uuid::from_u128(2))], ..PassageFilter::default() };
    assert_eq!(index.search(viewer(1, ALL), "annual", &only, 10).unwrap().len(), 1);
    let elsewhere = PassageFilter { collection: Some(CollectionId(Uuid::from_u128(6))), ..PassageFilter::default() };
    assert!(index.search(viewer(1, ALL), "annual", &elsewhere, 10).unwrap().is_empty());
    let remove = KeywordChange::Remove {
        tenant_id: TenantId(Uuid::from_u128(1)),
        document_id: DocumentId(Uuid::from_u128(1)),
        generation: 1,
    };
    index.apply(vec![remove]).unwrap();
    assert_eq!(found(&index, viewer(1, ALL), "annual"), [20]);
    assert_eq!(index.passages(), 1);
}

#[test]
fn an_index_being_built_is_seen_when_it_is_published() {
    let index = index(vec![entry(1, 10, "old words")]);
    index.start_over();
    index.apply(vec![KeywordChange::Add(entry(1, 20, "new words"))]).unwrap();
    assert_eq!(found(&index, viewer(1, ALL), "words"), [10]);
    index.publish();
    assert_eq!(found(&index, viewer(1, ALL), "words"), [20]);
}

/// BM25 as the textbook writes it, over the words of every text that is left.
fn textbook(texts: &[(u128, String)], question: &str) -> Vec<(u128, f64)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let passages: Vec<(u128, Vec<String>)> = texts.iter().map(|(id, text)| (*id, words(text))).collect();
    let count = passages.len() as f64;
    let mean = passages.iter().map(|(_, words)| words.len() as f64).sum::<f64>() / count;
    let holds = |words: &[String], word: &str| words.iter().filter(|other| *other == word).count() as f64;
    let mut scores: Vec<(u128, f64)> = passages.iter().map(|(id, _)| (*id, 0.0)).collect();
    for word in words(question) {
        let holding = passages.iter().filter(|(_, words)| holds(words, &word) > 0.0).count() as f64;
        let idf = (1.0 + (count - holding + 0.5) / (holding + 0.5)).ln();
        for ((_, score), (_, words)) in scores.iter_mut().zip(&passages) {
            let times = holds(words, &word);
            *score += idf * 2.2 * times / (times + 1.2 * (0.25 + 0.75 * words.len() as f64 / mean));
        }
    }
    scores.retain(|(_, score)| *score > 0.0);
    scores.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0)));
    scores
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Lengths far beyond 40 words, removals, several commits, and words asked twice.
    #[test]
    fn scores_and_order_are_those_of_bm25_over_what_is_left(
        texts in prop::collection::vec(prop::collection::vec(0_u8..40, 1..400), 1..40),
        question in prop::collection::vec(0_u8..45, 1..8),
        removed in prop::collection::vec(any::<bool>(), 40),
        commit in 1_usize..15,
    ) {
        let spelt = |words: &Vec<u8>| words.iter().map(|word| format!("w{word}")).collect::<Vec<_>>().join(" ");
        // A document for each text.
        let texts: Vec<(u128, String)> = (1..).zip(&texts).map(|(place, words)| (place * 10, spelt(words))).collect();
        let index = TantivyIndex::new(Analysis { stem: false, drop_stop_words: false });
        for batch in texts.chunks(commit) {
            let add = |(id, text): &(u128, String)| KeywordChange::Add(entry(1, *id, text));
            index.apply(batch.iter().map(add).collect()).unwrap();
        }
        let (gone, left): (Vec<_>, Vec<_>) =
            texts.into_iter().zip(&removed).partition(|(_, removed)| **removed);
        let remove = |((id, _), _): &((u128, String), &bool)| KeywordChange::Remove {
            tenant_id: TenantId(Uuid::from_u128(1)), document_id: DocumentId(Uuid::from_u128(id / 10)), generation: 1,
        };
        index.apply(gone.iter().map(remove).collect()).unwrap();
        let left: Vec<(u128, String)> = left.into_iter().map(|(text, _)| text).collect();
        let question = spelt(&question);
        let expected = textbook(&left, &question);
        let found = index.search(viewer(1, ALL), &question, &PassageFilter::default(), 10).unwrap();
        prop_assert_eq!(found.len(), expected.len().min(10));
        let exact: BTreeMap<u128, f64> = expected.iter().copied().collect();
        for ((id, score), (_, wanted)) in found.iter().zip(&expected) {
            // In single precision passages that differ in the seventh digit may change places.
            prop_assert!((score - wanted).abs() <= 1e-5 * wanted, "{score} in place of {wanted}");
            prop_assert!((score - exact[&id.0.as_u128()]).abs() <= 1e-5 * wanted, "the score of another passage");
        }
    }
}

/// The published reference: `bm25s`, Lucene's variant, over the same words (see `scripts/bm25_reference.py`).
#[test]
fn the_first_ten_are_those_of_bm25s() {
    #[derive(serde::Deserialize)]
    struct Reference {
        texts: Vec<String>,
        questions: Vec<Question>,
    }
    #[derive(serde::Deserialize)]
    struct Question {
        text: String,
        found: Vec<u128>,
    }
    let reference: Reference = serde_json::from_str(include_str!("bm25_reference.json")).unwrap();
    let entries = (0..).zip(&reference.texts).map(|(chunk, text)| KeywordChange::Add(entry(1, chunk, text))).collect();
    let index = TantivyIndex::new(Analysis { stem: false, drop_stop_words: false });
    index.apply(entries).unwrap();
    let (mut shared, mut all) = (0, 0);
    for question in &reference.questions {
        let ours = found(&index, viewer(1, ALL), &question.text);
        shared += question.found.iter().filter(|id| ours.contains(id)).count();
        all += question.found.len();
    }
    assert_eq!(shared, all);
}
