//! The index of one tenant.

use std::sync::Arc;

use docket_domain::case::Confidentiality;
use docket_domain::ids::{ChunkId, DocumentId};
use parking_lot::{Mutex, RwLock};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::PreTokenizedString;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

use super::analysis::Analyzers;
use super::snapshot::{COLUMNS, Snapshot};
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::keyword_index::{KeywordChange, KeywordEntry};
use crate::application::ports::passage_index::PassageFilter;

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
    length: Field,
}

/// One tenant's passages.
pub(super) struct TenantIndex {
    analyzers: Arc<Analyzers>,
    index: Index,
    reader: IndexReader,
    fields: Fields,
    snapshot: RwLock<Arc<Snapshot>>,
    /// Held while changes are written: there may be one writer at a time.
    writing: Mutex<()>,
}

fn generation_key(document: DocumentId, generation: u32) -> String {
    format!("{}/{generation}", document.0.simple())
}

impl TenantIndex {
    pub(super) fn new(analyzers: Arc<Analyzers>) -> Result<Self, TantivyError> {
        let mut schema = Schema::builder();
        let words = TextFieldIndexing::default().set_index_option(IndexRecordOption::WithFreqs).set_fieldnorms(false);
        let [high, low, length] = COLUMNS.map(|name| schema.add_u64_field(name, FAST));
        let fields = Fields {
            text: schema.add_text_field("text", TextOptions::default().set_indexing_options(words)),
            generation: schema.add_text_field("generation", STRING),
            document: schema.add_text_field("document", STRING),
            collection: schema.add_text_field("collection", STRING),
            confidentiality: schema.add_text_field("confidentiality", STRING),
            created_by: schema.add_text_field("created_by", STRING),
            high,
            low,
            length,
        };
        let index = Index::create_in_ram(schema.build());
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let snapshot = RwLock::new(Arc::new(Snapshot::take(reader.searcher(), fields.text)?));
        Ok(Self { analyzers, index, reader, fields, snapshot, writing: Mutex::new(()) })
    }

    pub(super) fn passages(&self) -> u64 {
        self.snapshot.read().passages()
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
        self.reader.reload()?;
        *self.snapshot.write() = Arc::new(Snapshot::take(self.reader.searcher(), self.fields.text)?);
        Ok(())
    }

    fn document(&self, entry: &KeywordEntry) -> TantivyDocument {
        let (high, low) = entry.chunk_id.0.as_u64_pair();
        let fields = self.fields;
        let mut document = TantivyDocument::default();
        let tokens = self.analyzers.passage(&entry.text);
        document.add_u64(fields.length, tokens.len() as u64);
        // The words are all that is kept of the text.
        document.add_pre_tokenized_text(fields.text, PreTokenizedString { text: String::new(), tokens });
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
        let mut words = self.analyzers.question(text);
        words.truncate(MOST_WORDS);
        if words.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let words = words.iter().map(|word| Term::from_field_text(self.fields.text, word)).collect();
        let clauses = self.restrictions(viewer, filter);
        let restriction = (!clauses.is_empty()).then(|| BooleanQuery::new(clauses));
        let snapshot = self.snapshot.read().clone();
        snapshot.search(words, restriction.as_ref().map(|query| query as &dyn Query), limit)
    }

    /// What must hold besides the words.
    fn restrictions(&self, viewer: Viewer, filter: &PassageFilter) -> Vec<(Occur, Box<dyn Query>)> {
        let fields = self.fields;
        let must = |query: Box<dyn Query>| (Occur::Must, query);
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
