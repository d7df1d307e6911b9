//! [`BlobStore`] on any object store.

use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{paths, unfinished};
use crate::application::ports::StoreError;
use crate::application::ports::blob_store::{BlobStore, ByteStream, ContentAddress, Listed, Upload};

/// Parts on their way at once; each holds 5 MiB, the least that S3 takes.
const PARTS_IN_FLIGHT: usize = 1;

/// [`BlobStore`] on a local directory, a bucket or, in tests, memory.
#[derive(Debug, Clone)]
pub struct ObjectBlobStore {
    store: Arc<dyn ObjectStore>,
    /// Where the store's files are, if they are this machine's.
    directory: Option<Arc<PathBuf>>,
}

impl ObjectBlobStore {
    /// A blob store on an object store.
    pub fn new(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store), directory: None }
    }

    /// A blob store on a local directory.
    pub(super) fn in_directory(store: LocalFileSystem, directory: PathBuf) -> Self {
        Self { store: Arc::new(store), directory: Some(Arc::new(directory)) }
    }

    /// A blob store in memory, for tests.
    pub fn in_memory() -> Self {
        Self::new(object_store::memory::InMemory::new())
    }
}

/// An upload.
struct Staging {
    /// Taken out when it is finished.
    upload: Option<WriteMultipart>,
    /// Whether the bytes stay when they are merely let go; a file is removed then.
    stays: bool,
}

impl Staging {
    fn upload(&mut self) -> Result<&mut WriteMultipart, StoreError> {
        self.upload.as_mut().ok_or_else(|| StoreError::internal("the upload is finished"))
    }
}

/// Whoever sends may break off at any time: the parts that a bucket has would stay there, unseen and paid for.
impl Drop for Staging {
    fn drop(&mut self) {
        let Some(upload) = self.upload.take().filter(|_| self.stays) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = upload.abort().await {
                tracing::warn!(%error, "an upload that was broken off was left in the store");
            }
        });
    }
}

#[async_trait]
impl Upload for Staging {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        let upload = self.upload()?;
        upload.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(store_error)?;
        upload.put(bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        match self.upload.take() {
            // What fails here is aborted by itself.
            Some(upload) => upload.finish().await.map(drop).map_err(store_error),
            None => Err(StoreError::internal("the upload is finished")),
        }
    }
}

#[async_trait]
impl BlobStore for ObjectBlobStore {
    async fn stage(&self, staged: Uuid) -> Result<Box<dyn Upload>, StoreError> {
        let upload = self.store.put_multipart(&paths::staged(staged)).await.map_err(store_error)?;
        Ok(Box::new(Staging { upload: Some(WriteMultipart::new(upload)), stays: self.directory.is_none() }))
    }

    async fn read_staged(&self, staged: Uuid, range: Range<u64>) -> Result<Bytes, StoreError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&paths::staged(staged), range).await.map_err(store_error)
    }

    async fn promote(&self, staged: Uuid, to: ContentAddress) -> Result<(), StoreError> {
        self.store.copy(&paths::staged(staged), &paths::content(to)).await.map_err(store_error)
    }

    async fn discard(&self, staged: Uuid) -> Result<(), StoreError> {
        gone_is_fine(self.store.delete(&paths::staged(staged)).await)?;
        let Some(directory) = self.directory.clone() else { return Ok(()) };
        blocking(move || unfinished::remove(&directory, staged)).await
    }

    async fn size(&self, content: ContentAddress) -> Result<Option<u64>, StoreError> {
        match self.store.head(&paths::content(content)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn read(&self, content: ContentAddress, range: Range<u64>) -> Result<Option<ByteStream>, StoreError> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        match self.store.get_opts(&paths::content(content), options).await {
            Ok(found) => Ok(Some(Box::pin(found.into_stream().map(|part| part.map_err(store_error))))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn delete(&self, content: ContentAddress) -> Result<(), StoreError> {
        gone_is_fine(self.store.delete(&paths::content(content)).await)
    }

    fn list(&self) -> Pin<Box<dyn Stream<Item = Result<Listed, StoreError>> + Send + '_>> {
        let known = |found: Result<object_store::ObjectMeta, Error>| async move {
            match found {
                Ok(meta) => {
                    let object = paths::parse(&meta.location)?;
                    let stored_at = OffsetDateTime::from_unix_timestamp(meta.last_modified.timestamp()).ok()?;
                    Some(Ok(Listed { object, stored_at }))
                }
                Err(error) => Some(Err(store_error(error))),
            }
        };
        let stored = self.store.list(None).filter_map(known);
        let Some(directory) = self.directory.clone() else { return Box::pin(stored) };
        let unfinished = stream::once(blocking(move || unfinished::list(&directory)));
        let unfinished = unfinished.flat_map(|found| match found {
            Ok(found) => stream::iter(found).map(Ok).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        Box::pin(stored.chain(unfinished))
    }
}

/// Does something with files on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(StoreError::internal)?;
    done.map_err(|error| StoreError::Unavailable(error.into()))
}

fn gone_is_fine(outcome: Result<(), Error>) -> Result<(), StoreError> {
    match outcome {
        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(store_error(error)),
    }
}

/// Sorts an error into full, internal and unavailable.
fn store_error(error: Error) -> StoreError {
    if is_full(&error) {
        return StoreError::Full(error.into());
    }
    match error {
        Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::NotImplemented { .. }
        | Error::UnknownConfigurationKey { .. } => StoreError::Internal(error.into()),
        _ => StoreError::Unavailable(error.into()),
    }
}

/// Whether a full disk or an exhausted quota is among the causes.
fn is_full(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        let kind = current.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        cause = current.source();
    }
    false
}
