//! [`BlobStore`] on any object store.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, WriteMultipart};
use time::OffsetDateTime;
use uuid::Uuid;

use super::paths;
use crate::application::ports::StoreError;
use crate::application::ports::blob_store::{BlobStore, ByteStream, ContentAddress, Listed, Upload};

/// Parts on their way at once; each holds 5 MiB, the least that S3 takes.
const PARTS_IN_FLIGHT: usize = 1;

/// [`BlobStore`] on a local directory, a bucket or, in tests, memory.
#[derive(Debug, Clone)]
pub struct ObjectBlobStore {
    store: Arc<dyn ObjectStore>,
}

impl ObjectBlobStore {
    /// A blob store on an object store.
    pub fn new(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store) }
    }

    /// A blob store in memory, for tests.
    pub fn in_memory() -> Self {
        Self::new(object_store::memory::InMemory::new())
    }
}

struct Staging(WriteMultipart);

#[async_trait]
impl Upload for Staging {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.0.wait_for_capacity(PARTS_IN_FLIGHT).await.map_err(store_error)?;
        self.0.put(bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<(), StoreError> {
        self.0.finish().await.map(drop).map_err(store_error)
    }
}

#[async_trait]
impl BlobStore for ObjectBlobStore {
    async fn stage(&self, staged: Uuid) -> Result<Box<dyn Upload>, StoreError> {
        let upload = self.store.put_multipart(&paths::staged(staged)).await.map_err(store_error)?;
        Ok(Box::new(Staging(WriteMultipart::new(upload))))
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
        gone_is_fine(self.store.delete(&paths::staged(staged)).await)
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
        Box::pin(self.store.list(None).filter_map(known))
    }
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
