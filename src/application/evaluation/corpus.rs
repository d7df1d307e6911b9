//! The passages of a dataset as the pipelines see them: an index of words, and parts with vectors.

use docket_domain::case::visibility::Sight;
use docket_domain::ids::{ChunkId, CollectionId, DocumentId, PrincipalId, TenantId};
use docket_domain::retrieval::late_interaction::dot;
use docket_domain::retrieval::windows::windows;
use uuid::Uuid;

use super::dataset::{Dataset, Question, Relevance};
use crate::application::knowledge::plugin_reranker::RerankerError;
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::embedder::{Embedder, EmbedderError, Urgency};
use crate::application::ports::keyword_index::{KeywordChange, KeywordEntry};
use crate::application::ports::passage_index::PassageFilter;
use crate::application::ports::{KeywordIndex, StoreError};

/// Texts embedded at a time.
pub(super) const BATCH: usize = 64;

/// Vectors that were computed before, by whoever keeps them.
pub trait Vectors {
    /// The vector of this text, if it is known.
    fn get(&self, text: &str) -> Option<Vec<f32>>;
    /// Keeps vectors.
    fn put(&mut self, texts: &[String], vectors: &[Vec<f32>]) -> std::io::Result<()>;
}

/// Why an evaluation stopped.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The model.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
    /// The index of words.
    #[error(transparent)]
    Index(#[from] StoreError),
    /// The plugin that reranks.
    #[error(transparent)]
    Reranker(#[from] RerankerError),
    /// The file of vectors.
    #[error("cannot keep vectors: {0}")]
    Vectors(#[from] std::io::Error),
}

/// A part of a passage that fits the model's window.
#[derive(Debug, Clone)]
pub struct Part {
    /// The place of its passage in the dataset.
    pub document: usize,
    /// What a reranker reads.
    pub text: String,
}

/// The one who asks, if everything may be seen.
const VIEWER: Viewer = Viewer {
    tenant_id: TenantId(Uuid::nil()),
    principal_id: PrincipalId(Uuid::nil()),
    sight: Sight { public: true, internal: true, restricted: true },
};

/// Cuts every passage into parts of the model's window. Scores of parts are those of their passage before anything is cut at ten.
pub fn parts(dataset: &Dataset, embedder: &dyn Embedder) -> Result<Vec<Part>, EvaluationError> {
    let limit = embedder.window().saturating_sub(2);
    let mut parts = Vec::with_capacity(dataset.documents.len());
    for (place, document) in dataset.documents.iter().enumerate() {
        let whole = document.whole();
        for range in windows(&whole, limit, |word| embedder.count_tokens(word))? {
            parts.push(Part { document: place, text: whole[range].to_owned() });
        }
    }
    Ok(parts)
}

/// The passages of a dataset that was cut, each a part by itself, and what is embedded of them: as in the service the passage below its
/// headings, as far as the model's window goes. Where quotes are judged the reranker reads the passage alone, as in the service; where
/// documents are, with its title, as it reads documents that are not cut.
pub fn cut_parts(dataset: &Dataset) -> (Vec<Part>, Vec<String>) {
    let alone = matches!(dataset.relevance, Relevance::Quotes(_));
    let part = |(document, passage): (usize, &super::dataset::Document)| {
        let whole = passage.whole();
        (Part { document, text: if alone { passage.text.clone() } else { whole.clone() } }, whole)
    };
    dataset.documents.iter().enumerate().map(part).unzip()
}

/// Embeds texts that are not known yet; `done` hears how many are.
pub async fn embed(
    texts: &[String],
    embedder: &dyn Embedder,
    known: &mut dyn Vectors,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<f32>>, EvaluationError> {
    let mut vectors: Vec<Option<Vec<f32>>> = texts.iter().map(|text| known.get(text)).collect();
    let mut missing: Vec<usize> = (0..texts.len()).filter(|place| vectors[*place].is_none()).collect();
    // Of like length together, so that little is spent on padding.
    missing.sort_by_key(|place| texts[*place].len());
    done(texts.len() - missing.len());
    for batch in missing.chunks(BATCH) {
        let now: Vec<String> = batch.iter().map(|place| texts[*place].clone()).collect();
        let computed = embedder.embed(&now, Urgency::Bulk).await?;
        known.put(&now, &computed)?;
        for (place, vector) in batch.iter().zip(computed) {
            vectors[*place] = Some(vector);
        }
        done(batch.len());
    }
    Ok(vectors.into_iter().map(Option::unwrap_or_default).collect())
}

/// Puts every passage into an index of words.
pub fn index_words(dataset: &Dataset, index: &dyn KeywordIndex) -> Result<(), EvaluationError> {
    let entry = |(place, document): (usize, &super::dataset::Document)| {
        KeywordChange::Add(KeywordEntry {
            tenant_id: VIEWER.tenant_id,
            chunk_id: ChunkId(Uuid::from_u128(place as u128)),
            document_id: DocumentId(Uuid::from_u128(place as u128)),
            generation: 1,
            collection_id: CollectionId(Uuid::nil()),
            confidentiality: document.confidentiality,
            // Nobody who asks: whoever brought a document sees it.
            created_by: PrincipalId(Uuid::max()),
            text: document.whole(),
        })
    };
    Ok(index.apply(dataset.documents.iter().enumerate().map(entry).collect())?)
}

/// The best passages by words that the asker may see: places in the dataset with their BM25 score.
pub fn by_words(
    index: &dyn KeywordIndex,
    question: &Question,
    limit: usize,
) -> Result<Vec<(usize, f64)>, EvaluationError> {
    let viewer = Viewer { sight: question.sight, ..VIEWER };
    let found = index.search(viewer, &question.text, &PassageFilter::default(), limit)?;
    let place = |(id, score): (ChunkId, f64)| Some((usize::try_from(id.0.as_u128()).ok()?, score));
    Ok(found.into_iter().filter_map(place).collect())
}

/// The best visible passages by meaning: a passage is as near as its nearest part. Gives the place of that part, too.
pub fn by_meaning(
    (parts, vectors): (&[Part], &[Vec<f32>]),
    query: &[f32],
    limit: usize,
    visible: impl Fn(usize) -> bool,
) -> Vec<(usize, f64, usize)> {
    let mut best: Vec<(usize, f64, usize)> = Vec::with_capacity(parts.len());
    for (place, (part, vector)) in parts.iter().zip(vectors).enumerate() {
        if !visible(part.document) {
            continue;
        }
        let likeness = f64::from(dot(query, vector));
        match best.last_mut() {
            // The parts of a passage stand one after the other.
            Some(last) if last.0 == part.document => {
                if likeness > last.1 {
                    (last.1, last.2) = (likeness, place);
                }
            }
            _ => best.push((part.document, likeness, place)),
        }
    }
    let order =
        |left: &(usize, f64, usize), right: &(usize, f64, usize)| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0));
    if best.len() > limit && limit > 0 {
        best.select_nth_unstable_by(limit - 1, order);
        best.truncate(limit);
    }
    best.sort_by(order);
    best
}
