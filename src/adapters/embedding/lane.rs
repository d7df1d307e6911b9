//! A thread with a model: takes requests in order, sorts their texts by length, computes batch after batch.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::EmbeddingSettings;
use super::encoder::Encoder;
use super::files::ModelFiles;
use super::pooling;
use crate::application::ports::embedder::{EmbedderError, TokenVectors};
use crate::telemetry::retrieval::EMBEDDING;

/// Requests that may wait. A request of one text takes milliseconds, so this is about a second of waiting.
const QUEUE: usize = 256;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One vector a text.
    Sentence,
    /// One vector a token.
    Tokens,
}

enum Request {
    Compute(Vec<Vec<i32>>, Wanted, oneshot::Sender<Result<Vec<TokenVectors>, EmbedderError>>),
    WarmUp,
}

/// The way to a thread with a model. Dropping it waits for the thread: a process that ends while ONNX Runtime loads a model
/// or computes crashes, because the library's statics are destroyed under the feet of that thread.
pub(super) struct Lane {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    failure: Arc<OnceLock<String>>,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Nobody waits for what is still in the queue, so the thread passes over it.
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Lane {
    /// Starts the thread; it loads the model when the first request comes and ends when the lane is dropped.
    pub(super) fn start(name: &'static str, files: &ModelFiles, settings: &EmbeddingSettings) -> Self {
        let (requests, mut queue) = mpsc::channel::<Request>(QUEUE);
        let failure = Arc::new(OnceLock::new());
        let (files, settings, reason) = (files.clone(), settings.clone(), failure.clone());
        // Among others a text would get another vector where scales are taken from all of them: then each is a batch.
        let batch_tokens = if files.quantised { 0 } else { settings.batch_tokens };
        let work = move || {
            let Some(mut first) = queue.blocking_recv() else { return };
            let mut encoder = match Encoder::load(&files, &settings) {
                Ok(encoder) => encoder,
                Err(error) => {
                    tracing::error!(%error, "the embedding model cannot be loaded");
                    let _ = reason.set(error.to_string());
                    return;
                }
            };
            loop {
                if let Request::Compute(texts, wanted, answer) = first
                    && !answer.is_closed()
                {
                    let _ = answer.send(compute(&mut encoder, &texts, wanted, batch_tokens, name));
                }
                match queue.blocking_recv() {
                    Some(next) => first = next,
                    None => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.inspect_err(|error| {
            tracing::error!(%error, "no thread for the embedding model");
            let _ = failure.set(error.to_string());
        });
        Self { requests: Some(requests), thread: thread.ok(), failure }
    }

    /// Asks for the model to be loaded, without waiting for it.
    pub(super) fn warm_up(&self) {
        let _ = self.send(Request::WarmUp);
    }

    fn send(&self, request: Request) -> Result<(), EmbedderError> {
        let requests = self.requests.as_ref().ok_or_else(|| self.gone())?;
        requests.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => EmbedderError::Busy,
            mpsc::error::TrySendError::Closed(_) => self.gone(),
        })
    }

    /// Why the model could not be loaded, if so.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
    }

    /// Computes the texts, given as token numbers, after those that came before.
    pub(super) async fn compute(&self, ids: Vec<Vec<i32>>, wanted: Wanted) -> Result<Vec<TokenVectors>, EmbedderError> {
        let (answer, result) = oneshot::channel();
        self.send(Request::Compute(ids, wanted, answer))?;
        result.await.map_err(|_| self.gone())?
    }

    fn gone(&self) -> EmbedderError {
        EmbedderError::NotInstalled(self.failure().unwrap_or_else(|| "its thread has ended".to_owned()))
    }
}

/// Texts of like length share a batch, so that little is spent on padding.
fn compute(
    encoder: &mut Encoder,
    texts: &[Vec<i32>],
    wanted: Wanted,
    batch_tokens: usize,
    lane: &'static str,
) -> Result<Vec<TokenVectors>, EmbedderError> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| texts[*index].len());
    let mut found: Vec<Option<TokenVectors>> = vec![None; texts.len()];
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(batch_size(rest, texts, batch_tokens));
        rest = later;
        let batch: Vec<&[i32]> = now.iter().map(|index| texts[*index].as_slice()).collect();
        let started = Instant::now();
        let take = |place: usize, values: &[f32], tokens: usize, width: usize| {
            let values = match wanted {
                Wanted::Sentence => pooling::mean(values, tokens, width),
                Wanted::Tokens => pooling::each(values, tokens, width),
            };
            found[now[place]] = Some(TokenVectors { dimensions: width, values: values.into() });
        };
        encoder.run(&batch, take).map_err(EmbedderError::Failed)?;
        metrics::histogram!(EMBEDDING, "lane" => lane).record(started.elapsed().as_secs_f64());
    }
    let missing = || EmbedderError::Failed("the model gave fewer vectors than it got texts".into());
    found.into_iter().map(|vectors| vectors.ok_or_else(missing)).collect()
}

/// How many of the shortest texts left fit together; one at least.
fn batch_size(rest: &[usize], texts: &[Vec<i32>], batch_tokens: usize) -> usize {
    let fitting =
        rest.iter().enumerate().take_while(|(place, index)| (place + 1) * texts[**index].len() <= batch_tokens);
    fitting.count().max(1)
}
