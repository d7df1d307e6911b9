//! Embeddings on the CPU by ONNX Runtime: all-MiniLM-L6-v2, or another BERT sentence encoder in a named directory.
//!
//! Inference runs on threads of its own, one for questions and one for documents, so neither the runtime of the service nor somebody
//! who waits is ever held up by a long text. The model is loaded by those threads, when the service starts or at the first use.

mod encoder;
mod files;
mod lane;
mod pooling;
mod tokens;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;

use crate::application::ports::embedder::{Embedder, EmbedderError, TokenVectors, Urgency};
use crate::application::ports::health::{HealthProbe, ProbeState};
use files::ModelFiles;
use lane::{Lane, Wanted};
use tokens::TextTokens;

/// The model's name when it is the packaged one.
const PACKAGED: &str = "all-MiniLM-L6-v2";

/// Where the model is and how much of the machine it may use.
#[derive(Debug, Clone)]
pub struct EmbeddingSettings {
    /// Directory with the graph, `tokenizer.json` and `config.json`; none: found in the virtual environment.
    pub model_dir: Option<PathBuf>,
    /// ONNX Runtime's shared library; none: found in the virtual environment.
    pub library: Option<PathBuf>,
    /// Whether products are computed in whole numbers, by the graph `model-int8.onnx`.
    pub quantised: bool,
    /// Threads of one inference; zero: one for each processor.
    pub threads: usize,
    /// Tokens of one inference at most (padding included): bounds both memory and the time that the next one waits.
    pub batch_tokens: usize,
    /// Tokens of a text that count.
    pub window: usize,
}

/// The embedder over ONNX Runtime.
pub struct OnnxEmbedder {
    settings: EmbeddingSettings,
    model: String,
    files: OnceLock<Result<Arc<Loaded>, String>>,
}

/// What is there once the files have been found and the tokenizer read.
struct Loaded {
    tokens: TextTokens,
    dimensions: usize,
    questions: Lane,
    documents: Lane,
}

impl OnnxEmbedder {
    /// An embedder that loads its model at the first use, or at [`Self::warm_up`].
    pub fn new(settings: EmbeddingSettings) -> Self {
        let named = settings.model_dir.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str());
        let named = named.unwrap_or(PACKAGED);
        let model = if settings.quantised { format!("{named}-int8") } else { named.to_owned() };
        Self { model, settings, files: OnceLock::new() }
    }

    /// Loads the model now. Blocks for about a second: call it on a thread that may.
    pub fn warm_up(&self) -> Result<(), EmbedderError> {
        let loaded = self.loaded()?;
        loaded.questions.warm_up();
        loaded.documents.warm_up();
        Ok(())
    }

    fn loaded(&self) -> Result<&Arc<Loaded>, EmbedderError> {
        let loaded = self.files.get_or_init(|| self.load().map(Arc::new));
        loaded.as_ref().map_err(|reason| EmbedderError::NotInstalled(reason.clone()))
    }

    fn load(&self) -> Result<Loaded, String> {
        let settings = &self.settings;
        let files = ModelFiles::find(settings)?;
        let tokens = TextTokens::read(&files.tokenizer(), settings.window)?;
        let dimensions = files.width()?;
        let questions = Lane::start("embed-questions", &files, settings);
        let documents = Lane::start("embed-documents", &files, settings);
        Ok(Loaded { tokens, dimensions, questions, documents })
    }

    async fn compute(
        &self,
        texts: &[String],
        urgency: Urgency,
        wanted: Wanted,
    ) -> Result<Vec<TokenVectors>, EmbedderError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let loaded = self.loaded()?;
        let ids = texts.iter().map(|text| loaded.tokens.encode(text)).collect::<Result<_, _>>()?;
        let lane = match urgency {
            Urgency::Interactive => &loaded.questions,
            Urgency::Bulk => &loaded.documents,
        };
        lane.compute(ids, wanted).await
    }
}

#[async_trait]
impl Embedder for OnnxEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn identity(&self) -> Result<String, EmbedderError> {
        ModelFiles::find(&self.settings).and_then(|files| files.identity()).map_err(EmbedderError::NotInstalled)
    }

    fn dimensions(&self) -> usize {
        // The packaged model's width while another cannot be read; nothing is ever embedded then.
        self.loaded().map_or(384, |loaded| loaded.dimensions)
    }

    fn window(&self) -> usize {
        self.settings.window
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
        self.loaded()?.tokens.count(text)
    }

    async fn embed(&self, texts: &[String], urgency: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let pooled = self.compute(texts, urgency, Wanted::Sentence).await?;
        Ok(pooled.into_iter().map(|vector| vector.values.to_vec()).collect())
    }

    async fn embed_tokens(&self, texts: &[String], urgency: Urgency) -> Result<Vec<TokenVectors>, EmbedderError> {
        self.compute(texts, urgency, Wanted::Tokens).await
    }
}

/// Says in /readyz whether the model is there. The service works without it, by keywords only.
pub struct EmbeddingProbe(pub Arc<OnnxEmbedder>);

#[async_trait]
impl HealthProbe for EmbeddingProbe {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> ProbeState {
        let settings = &self.0.settings;
        let found = match self.0.files.get() {
            Some(loaded) => loaded.as_ref().map(|loaded| loaded.questions.failure()).map_err(Clone::clone),
            None => ModelFiles::find(settings).map(|_| None),
        };
        match found {
            Ok(None) => ProbeState::Up,
            Ok(Some(_)) => ProbeState::Down("the embedding model cannot be loaded; the log says why".to_owned()),
            Err(_) => ProbeState::Down("the embedding model is not installed; search is by keywords only".to_owned()),
        }
    }
}
