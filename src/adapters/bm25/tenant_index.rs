//! The index of one tenant.

use docket_domain::case::Confidentiality;
use docket_domain::ids::{ChunkId, DocumentId};
use parking_lot::Mutex;
use tantivy::collector::TopDocs;
use tantivy::columnar::Column;
use tantivy::query::{BooleanQuery, ConstScoreQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};
use uuid::Uuid;

use super::Analysis;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::keyword_index::{KeywordChange, KeywordEntry};
use crate::application::ports::passage_index::PassageFilter;

const ANALYZER: &str = "passage";
/// The least that tantivy accepts for one thread.
const WRITER_BYTES: usize = 15_000_000;
/// Words of a question that count; more is no question.
const MOST_WORDS: usize = 256;

#[derive(Clone, Copy)]
struct Fields {
    text: Field,
    generation: Field,
    document: Field,
    collection: Field,
    confidentiality: Field,
    created_by: Field,
    high: Field,
    low: Field,
}

/// One tenant's passages.
pub(super) struct TenantIndex {
    analysis: Analysis,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    /// Held while changes are written: there may be one writer at a time.
    writing: Mutex<()>,
}

fn generation_key(document: DocumentId, generation: u32) -> String {
    format!("{}/{generation}", document.0.simple())
}

impl TenantIndex {
    pub(super) fn new(analysis: Analysis) -> Result<Self, TantivyError> {
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default().set_tokenizer(ANALYZER).set_index_option(IndexRecordOption::WithFreqs);
        let fields = Fields {
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words)),
            generation: schema.add_text_field("generation", STRING),
            document: schema.add_text_field("document", STRING),
            collection: schema.add_text_field("collection", STRING),
            confidentiality: schema.add_text_field("confidentiality", STRING),
            created_by: schema.add_text_field("created_by", STRING),
            // The id in two halves.
            high: schema.add_u64_field("high", FAST),
            low: schema.add_u64_field("low", FAST),
        };
        let index = Index::create_in_ram(schema.build());
        index.tokenizers().register(ANALYZER, analysis.analyzer());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { analysis, index, reader, fields, writing: Mutex::new(()) })
    }

    pub(super) fn passages(&self) -> u64 {
        self.reader.searcher().num_docs()
    }

    /// A writer lives as long as one batch: it holds memory and threads that an idle tenant should not cost.
    pub(super) fn apply(&self, changes: Vec<KeywordChange>) -> Result<(), TantivyError> {
        let _writing = self.writing.lock();
        let mut writer: IndexWriter<TantivyDocument> = self.index.writer_with_num_threads(1, WRITER_BYTES)?;
        for change in changes {
            match change {
                KeywordChange::Remove { document_id, generation, .. } => {
                    let key = generation_key(document_id, generation);
                    writer.delete_term(Term::from_field_text(self.fields.generation, &key));
                }
                KeywordChange::Add(entry) => {
                    writer.add_document(self.document(&entry))?;
                }
            }
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        self.reader.reload()
    }

    fn document(&self, entry: &KeywordEntry) -> TantivyDocument {
        let (high, low) = entry.chunk_id.0.as_u64_pair();
        let fields = self.fields;
        let mut document = TantivyDocument::default();
        document.add_text(fields.text, &entry.text);
        document.add_text(fields.generation, generation_key(entry.document_id, entry.generation));
        document.add_text(fields.document, entry.document_id.0.simple().to_string());
        document.add_text(fields.collection, entry.collection_id.0.simple().to_string());
        document.add_text(fields.confidentiality, entry.confidentiality.as_str());
        document.add_text(fields.created_by, entry.created_by.0.simple().to_string());
        document.add_u64(fields.high, high);
        document.add_u64(fields.low, low);
        document
    }

    pub(super) fn search(
        &self,
        viewer: Viewer,
        text: &str,
        filter: &PassageFilter,
        limit: usize,
    ) -> Result<Vec<(ChunkId, f64)>, TantivyError> {
        let mut words = self.analysis.words_of_question(text);
        words.truncate(MOST_WORDS);
        if words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let any = words.iter().map(|word| Term::from_field_text(self.fields.text, word)).collect();
        let any = BooleanQuery::new_multiterms_query(any);
        let mut clauses = self.restrictions(viewer, filter);
        let query: Box<dyn Query> = if clauses.is_empty() {
            Box::new(any)
        } else {
            clauses.insert(0, (Occur::Must, Box::new(any)));
            Box::new(BooleanQuery::new(clauses))
        };
        let searcher = self.reader.searcher();
        let found = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        // Opening a column costs more than reading from it.
        let columns = searcher.segment_readers().iter().map(|segment| {
            let columns = segment.fast_fields();
            Ok((columns.u64("high")?, columns.u64("low")?))
        });
        let columns = columns.collect::<Result<Vec<_>, TantivyError>>()?;
        let mut hits = Vec::with_capacity(found.len());
        for (score, address) in found {
            let (high, low) = &columns[address.segment_ord as usize];
            let half = |column: &Column<u64>| column.first(address.doc_id).unwrap_or(0);
            let id = Uuid::from_u64_pair(half(high), half(low));
            hits.push((ChunkId(id), f64::from(score)));
        }
        Ok(hits)
    }

    /// What must hold besides the words, none of which counts for the score.
    fn restrictions(&self, viewer: Viewer, filter: &PassageFilter) -> Vec<(Occur, Box<dyn Query>)> {
        let fields = self.fields;
        let must = |query: Box<dyn Query>| (Occur::Must, Box::new(ConstScoreQuery::new(query, 0.0)) as Box<dyn Query>);
        let among = |field: Field, values: &[String]| -> Box<dyn Query> {
            Box::new(TermSetQuery::new(values.iter().map(|value| Term::from_field_text(field, value))))
        };
        let mut clauses = Vec::new();
        let sight = viewer.sight;
        if !(sight.public && sight.internal && sight.restricted) {
            let covered: Vec<String> =
                [Confidentiality::Public, Confidentiality::Internal, Confidentiality::Restricted]
                    .into_iter()
                    .filter(|level| sight.covers(*level))
                    .map(|level| level.as_str().to_owned())
                    .collect();
            let mut visible: Vec<(Occur, Box<dyn Query>)> =
                vec![(Occur::Should, among(fields.confidentiality, &covered))];
            if sight.public {
                let own = Term::from_field_text(fields.created_by, &viewer.principal_id.0.simple().to_string());
                visible.push((Occur::Should, Box::new(TermQuery::new(own, IndexRecordOption::Basic))));
            }
            clauses.push(must(Box::new(BooleanQuery::new(visible))));
        }
        if let Some(collection) = filter.collection {
            clauses.push(must(among(fields.collection, &[collection.0.simple().to_string()])));
        }
        if !filter.documents.is_empty() {
            let ids: Vec<String> = filter.documents.iter().map(|id| id.0.simple().to_string()).collect();
            clauses.push(must(among(fields.document, &ids)));
        }
        if !filter.confidentialities.is_empty() {
            let levels: Vec<String> = filter.confidentialities.iter().map(|level| level.as_str().to_owned()).collect();
            clauses.push(must(among(fields.confidentiality, &levels)));
        }
        clauses
    }
}
