//! The port for embeddings: texts in, vectors out, whose cosine similarity says how alike their meanings are.

use std::sync::Arc;

use async_trait::async_trait;

/// One vector for each token of a text, all of length one, for late interaction (`docket_domain::retrieval::max_sim`).
#[derive(Debug, Clone, PartialEq)]
pub struct TokenVectors {
    /// How many numbers each vector has.
    pub dimensions: usize,
    /// The vectors, one after the other.
    pub values: Arc<[f32]>,
}

impl TokenVectors {
    /// The vectors in the order of the tokens.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dimensions.max(1))
    }
}

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The model is not installed or cannot be loaded. Asking again does not help; the reason says what to do.
    #[error("the embedding model is not available: {0}")]
    NotInstalled(String),
    /// More texts wait than the model can take; the same request may succeed later.
    #[error("the embedding model is busy")]
    Busy,
    /// Something that should not happen.
    #[error("the embedding model failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How urgent a request is: a question of somebody who waits never queues behind documents being ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for the answer.
    Interactive,
    /// Work in the background.
    Bulk,
}

/// Computes embeddings.
///
/// Contract: `embed` gives one vector for each text, in order, of `dimensions` numbers and length one (cosine similarity is the dot
/// product). The same text gives the same vector up to rounding (1e-5), whatever texts stand beside it. Only the first `window` tokens of
/// a text count; split longer texts before. An empty text has a vector, too. Implementations keep nothing: whoever caches does so per tenant.
/// Dropping the future gives up the answer, not necessarily the computation.
/// To add one: implement it below `adapters`, and run the tests of tests/embedding with it.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// The name of the model; vectors of different models must never be compared.
    fn model(&self) -> &str;
    /// What tells this model from every other, whatever it is called: stored vectors are kept for models of one identity only. May
    /// read files, so it blocks.
    fn identity(&self) -> Result<String, EmbedderError> {
        Ok(self.model().to_owned())
    }
    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;
    /// How many tokens of a text count, the two marks around it included.
    fn window(&self) -> usize;
    /// How many tokens `text` has, without the marks around it. Additive over words separated by white space.
    fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError>;
    /// One vector for each text: the mean of its token vectors, scaled to length one.
    async fn embed(&self, texts: &[String], urgency: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError>;
    /// The vectors of every token of each text, for late interaction.
    async fn embed_tokens(&self, texts: &[String], urgency: Urgency) -> Result<Vec<TokenVectors>, EmbedderError>;
}
