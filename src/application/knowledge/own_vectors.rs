//! Vectors of one model only: before a process computes its first vector it makes sure that the stored ones are of its model.
//!
//! Where they are of another, they are taken out in batches, and the job `embed_passages` makes new ones. Meanwhile the model counts
//! as not installed: searches go by words, and what is read waits for its vectors. A process that learns later that another model has
//! taken over stays without, so that two processes with different models do not remove each other's vectors for ever.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use docket_domain::ids::{ChunkId, TenantId};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::application::ports::chunk_store::DIMENSIONS;
use crate::application::ports::embedder::{EmbedderError, TokenVectors, Urgency};
use crate::application::ports::{Embedder, StoreError, VectorOrigin};

/// Passages of which the vectors are taken out by one statement.
const BATCH: u32 = 2_000;
/// For how long questions rely on the last look at whose the stored vectors are; documents look at every batch.
const TRUSTED: Duration = Duration::from_secs(10);

/// An embedder whose vectors may be compared with the stored ones.
#[derive(Clone)]
pub struct OwnVectors {
    inner: Arc<dyn Embedder>,
    origin: Arc<dyn VectorOrigin>,
    state: Arc<State>,
}

/// What this process knows.
#[derive(Default)]
struct State {
    identity: OnceCell<String>,
    /// Whether the stored vectors were of this model once.
    settled: AtomicBool,
    /// Whether those of another are being taken out.
    forgetting: AtomicBool,
    looked: Mutex<Option<Instant>>,
}

impl OwnVectors {
    /// This embedder over this store.
    pub fn new(inner: Arc<dyn Embedder>, origin: Arc<dyn VectorOrigin>) -> Self {
        Self { inner, origin, state: Arc::default() }
    }

    /// Whether the stored vectors are of this model; where none is known, it is the one from now on.
    pub async fn fit(&self) -> Result<bool, EmbedderError> {
        let identity = self.identity().await?;
        let fit = self.origin.claim(&identity).await.map_err(failed)?;
        if fit {
            self.state.settled.store(true, Ordering::Release);
            *self.state.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        Ok(fit)
    }

    /// Takes the vectors of another model out, if the stored ones are of another.
    pub async fn settle(&self) -> Result<(), EmbedderError> {
        // A model whose vectors cannot be stored does not take out those that can.
        if self.inner.dimensions() != DIMENSIONS || self.fit().await? {
            return Ok(());
        }
        tracing::warn!(model = self.inner.model(), "the stored vectors are of another model; they are taken out");
        let identity = self.identity().await?;
        let mut after = (TenantId(Uuid::nil()), ChunkId(Uuid::nil()));
        while let Some(last) = self.origin.forget(&identity, after, BATCH).await.map_err(failed)? {
            after = last;
        }
        tracing::info!(model = self.inner.model(), "passages get vectors of this model by and by");
        self.fit().await.map(|_| ())
    }

    async fn identity(&self) -> Result<String, EmbedderError> {
        let inner = self.inner.clone();
        // Files are read: not on a thread that serves requests.
        let read = || async move {
            tokio::task::spawn_blocking(move || inner.identity())
                .await
                .map_err(|error| EmbedderError::Failed(error.into()))?
        };
        self.state.identity.get_or_try_init(read).await.cloned()
    }

    /// Refuses while the stored vectors are not of this model.
    async fn own(&self, urgency: Urgency) -> Result<(), EmbedderError> {
        let looked = *self.state.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if urgency == Urgency::Interactive && looked.is_some_and(|at| at.elapsed() < TRUSTED) {
            return Ok(());
        }
        if self.inner.dimensions() != DIMENSIONS || self.fit().await? {
            return Ok(());
        }
        if self.state.settled.load(Ordering::Acquire) {
            let reason = "the stored vectors are of another model by now; start this process again with its files";
            return Err(EmbedderError::NotInstalled(reason.to_owned()));
        }
        if !self.state.forgetting.swap(true, Ordering::AcqRel) {
            let own = self.clone();
            tokio::spawn(async move {
                if let Err(error) = own.settle().await {
                    tracing::warn!(%error, "vectors of another model are left; the next use of the model goes on");
                }
                own.state.forgetting.store(false, Ordering::Release);
            });
        }
        Err(EmbedderError::NotInstalled("vectors of another model are being taken out".to_owned()))
    }
}

fn failed(error: StoreError) -> EmbedderError {
    match error {
        StoreError::Unavailable(_) => EmbedderError::Busy,
        other => EmbedderError::Failed(Box::new(other)),
    }
}

#[async_trait]
impl Embedder for OwnVectors {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn identity(&self) -> Result<String, EmbedderError> {
        self.inner.identity()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    fn window(&self) -> usize {
        self.inner.window()
    }

    fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
        self.inner.count_tokens(text)
    }

    async fn embed(&self, texts: &[String], urgency: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError> {
        self.own(urgency).await?;
        self.inner.embed(texts, urgency).await
    }

    async fn embed_tokens(&self, texts: &[String], urgency: Urgency) -> Result<Vec<TokenVectors>, EmbedderError> {
        self.inner.embed_tokens(texts, urgency).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model that gives every text the same vector.
    struct Named(&'static str);

    #[async_trait]
    impl Embedder for Named {
        fn model(&self) -> &str {
            self.0
        }

        fn dimensions(&self) -> usize {
            DIMENSIONS
        }

        fn window(&self) -> usize {
            256
        }

        fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
            Ok(text.len())
        }

        async fn embed(&self, texts: &[String], _: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError> {
            Ok(texts.iter().map(|_| vec![0.0; DIMENSIONS]).collect())
        }

        async fn embed_tokens(&self, _: &[String], _: Urgency) -> Result<Vec<TokenVectors>, EmbedderError> {
            Ok(Vec::new())
        }
    }

    /// Whose the vectors are, and in how many batches they are.
    #[derive(Default)]
    struct Stored(Mutex<(Option<String>, u32)>);

    #[async_trait]
    impl VectorOrigin for Stored {
        async fn claim(&self, identity: &str) -> Result<bool, StoreError> {
            Ok(self.0.lock().unwrap().0.get_or_insert_with(|| identity.to_owned()) == identity)
        }

        async fn forget(
            &self,
            identity: &str,
            after: (TenantId, ChunkId),
            _: u32,
        ) -> Result<Option<(TenantId, ChunkId)>, StoreError> {
            let mut stored = self.0.lock().unwrap();
            if stored.1 == 0 {
                stored.0 = Some(identity.to_owned());
                return Ok(None);
            }
            stored.1 -= 1;
            Ok(Some(after))
        }
    }

    async fn embeds(own: &OwnVectors, urgency: Urgency) -> bool {
        match own.embed(&["text".to_owned()], urgency).await {
            Ok(vectors) => vectors.len() == 1,
            Err(EmbedderError::NotInstalled(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test]
    async fn nothing_is_embedded_beside_vectors_of_another_model_and_who_is_replaced_stays_without() {
        let stored = Arc::new(Stored::default());
        let (before, after) = (Arc::new(Named("before")), Arc::new(Named("after")));
        let before = OwnVectors::new(before, stored.clone());
        assert!(embeds(&before, Urgency::Bulk).await, "the first that comes claims the vectors");
        stored.0.lock().unwrap().1 = 3;

        let after = OwnVectors::new(after, stored.clone());
        assert!(!embeds(&after, Urgency::Interactive).await, "there are vectors of another model");
        while !embeds(&after, Urgency::Bulk).await {
            tokio::task::yield_now().await;
        }
        assert_eq!(*stored.0.lock().unwrap(), (Some("after".to_owned()), 0));

        stored.0.lock().unwrap().1 = 5;
        assert!(!embeds(&before, Urgency::Bulk).await, "it was replaced");
        tokio::task::yield_now().await;
        assert!(!embeds(&before, Urgency::Bulk).await);
        assert_eq!(*stored.0.lock().unwrap(), (Some("after".to_owned()), 5), "and takes nothing out");
    }
}
