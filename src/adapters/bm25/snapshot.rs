//! The passages of one commit, scored by BM25 (Robertson and Zaragoza 2009) in Lucene's form with exact lengths.
//!
//! tantivy's own scorer keeps a length in eight bits, in steps of about 5 % beyond 40 words, which costs three of a hundred places in the first
//! ten. Here a search adds up one array of scores, word after word, and looks through it once: with as many candidates as a fusion
//! wants, skipping passages as tantivy does costs more than it saves.

use std::collections::BTreeMap;
use std::sync::Arc;

use docket_domain::ids::ChunkId;
use tantivy::columnar::Column;
use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::postings::BlockSegmentPostings;
use tantivy::query::{EnableScoring, Query};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, TantivyError, Term};
use uuid::Uuid;

use super::best::Best;

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Fast columns: the two halves of a passage's id, and how many words it has.
pub(super) const COLUMNS: [&str; 3] = ["high", "low", "length"];

/// What searches see until the next commit.
pub(super) struct Snapshot {
    searcher: Searcher,
    segments: Vec<Segment>,
    passages: f32,
    mean_length: f32,
}

struct Segment {
    reader: SegmentReader,
    words: Arc<InvertedIndexReader>,
    /// By passage; in the clear, because a score reads it for every word.
    lengths: Vec<f32>,
    high: Column<u64>,
    low: Column<u64>,
}

impl Snapshot {
    /// Opens what a commit left; reads every length once. What was removed counts for nothing, whether its place is used again or not.
    #[allow(clippy::cast_precision_loss)] // statistics, of at most millions of passages
    pub(super) fn take(searcher: Searcher, text: Field) -> Result<Self, TantivyError> {
        let open = |reader: &SegmentReader| {
            let [high, low, length] = COLUMNS.map(|name| reader.fast_fields().u64(name));
            let length = length?;
            let lengths = (0..reader.max_doc()).map(|passage| length.first(passage).unwrap_or(0) as f32).collect();
            let words = reader.inverted_index(text)?;
            Ok(Segment { reader: reader.clone(), words, lengths, high: high?, low: low? })
        };
        let segments = searcher.segment_readers().iter().map(open).collect::<Result<Vec<Segment>, TantivyError>>()?;
        let total: f64 = segments.iter().map(Segment::total_length).sum();
        let passages = searcher.num_docs() as f32;
        #[allow(clippy::cast_possible_truncation)] // a mean of thousands at most
        let mean_length = (total / f64::from(passages.max(1.0))) as f32;
        Ok(Self { searcher, segments, passages, mean_length })
    }

    /// How many passages there are.
    pub(super) fn passages(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// The best passages that hold one of these words, among those that `restriction` matches. A word given twice counts twice.
    pub(super) fn search(
        &self,
        words: Vec<Term>,
        restriction: Option<&dyn Query>,
        limit: usize,
    ) -> Result<Vec<(ChunkId, f64)>, TantivyError> {
        let mut asked: BTreeMap<Term, f32> = BTreeMap::new();
        for word in words {
            *asked.entry(word).or_default() += 1.0;
        }
        let mut scores: Vec<Vec<f32>> = self.segments.iter().map(|segment| vec![0.0; segment.lengths.len()]).collect();
        for (word, times) in &asked {
            let postings: Vec<_> =
                self.segments.iter().map(|segment| segment.postings(word)).collect::<Result<_, _>>()?;
            let holding: f32 = postings.iter().flatten().map(|(_, holding)| *holding).sum();
            let idf = (1.0 + (self.passages - holding + 0.5) / (holding + 0.5)).ln();
            for ((segment, scores), postings) in self.segments.iter().zip(&mut scores).zip(postings) {
                if let Some((postings, _)) = postings {
                    segment.add_up(scores, postings, times * idf * (1.0 + K1), self.mean_length);
                }
            }
        }
        let mut best = Best::new(limit);
        let weight = restriction.map(|query| query.weight(EnableScoring::disabled_from_searcher(&self.searcher)));
        let weight = weight.transpose()?;
        for ((place, segment), scores) in self.segments.iter().enumerate().zip(&scores) {
            let alive = segment.reader.alive_bitset();
            let mut look = |passage: DocId, score: f32| {
                if score > best.threshold() && alive.is_none_or(|alive| alive.is_alive(passage)) {
                    best.push(score, (place, passage));
                }
            };
            match &weight {
                None => (0..).zip(scores).for_each(|(passage, score)| look(passage, *score)),
                Some(weight) => weight.for_each_no_score(&segment.reader, &mut |passages| {
                    for passage in passages {
                        look(*passage, scores[*passage as usize]);
                    }
                })?,
            }
        }
        let id = |(place, passage): (usize, DocId)| self.segments[place].id(passage);
        Ok(best.in_order().into_iter().map(|(score, at)| (id(at), f64::from(score))).collect())
    }
}

impl Segment {
    /// The passages that hold a word, and how many of them are not removed.
    fn postings(&self, word: &Term) -> Result<Option<(BlockSegmentPostings, f32)>, TantivyError> {
        let Some(found) = self.words.get_term_info(word)? else { return Ok(None) };
        let holding = match self.reader.alive_bitset() {
            None => found.doc_freq,
            Some(alive) => {
                let passages = self.words.read_postings_from_terminfo(&found, IndexRecordOption::Basic)?;
                passages.doc_freq_given_deletes(alive)
            }
        };
        let postings = self.words.read_block_postings_from_terminfo(&found, IndexRecordOption::WithFreqs)?;
        #[allow(clippy::cast_precision_loss)] // a number of passages
        Ok(Some((postings, holding as f32)))
    }

    /// Adds what one word gives to the score of each passage that holds it.
    fn add_up(&self, scores: &mut [f32], mut postings: BlockSegmentPostings, weight: f32, mean_length: f32) {
        let (base, slope) = (K1 * (1.0 - B), K1 * B / mean_length);
        while !postings.docs().is_empty() {
            for (passage, times) in postings.docs().iter().zip(postings.freqs()) {
                let passage = *passage as usize;
                #[allow(clippy::cast_precision_loss)] // how often a word stands in a passage
                let times = *times as f32;
                scores[passage] += weight * times / (times + base + slope * self.lengths[passage]);
            }
            postings.advance();
        }
    }

    fn total_length(&self) -> f64 {
        let alive = self.reader.doc_ids_alive();
        alive.map(|passage| f64::from(self.lengths[passage as usize])).sum()
    }

    fn id(&self, passage: DocId) -> ChunkId {
        let half = |column: &Column<u64>| column.first(passage).unwrap_or(0);
        ChunkId(Uuid::from_u64_pair(half(&self.high), half(&self.low)))
    }
}
