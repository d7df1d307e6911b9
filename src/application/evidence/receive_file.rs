//! Receive a file: stage its bytes while hashing and counting them, then judge what they are. Memory stays constant.

use bytes::Bytes;
use docket_domain::ids::TenantId;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::media_type::{self, Family, HEAD_BYTES, Kind, TAIL_BYTES};
use super::{file_name, zip_container};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::blob_store::ContentAddress;
use crate::application::ports::{BlobStore, StoreError};

/// How much is read back at once when the staged bytes are verified.
const VERIFY_CHUNK: u64 = 1024 * 1024;

/// What the sender says of the file.
#[derive(Debug, Clone)]
pub struct Announced {
    /// Its name, as sent.
    pub file_name: String,
    /// Its media type, as sent; empty when it was not.
    pub media_type: String,
}

/// A file that was staged, verified and judged.
#[derive(Debug, Clone)]
pub struct Received {
    /// Under which name its bytes are staged.
    pub staged: Uuid,
    /// Where its content belongs.
    pub address: ContentAddress,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What it is.
    pub kind: &'static Kind,
    /// Its name, made harmless.
    pub file_name: String,
}

/// Stages `chunks` under the fresh name `staged`. Whatever goes wrong, nothing stays staged.
pub async fn receive_file(
    blobs: &dyn BlobStore,
    tenant: TenantId,
    staged: Uuid,
    announced: &Announced,
    chunks: impl Stream<Item = Result<Bytes, UseCaseError>> + Send + Unpin,
    limit: u64,
) -> Result<Received, UseCaseError> {
    let wrong_name = |detail| UseCaseError::Invalid(vec![Invalid::new("/file_name", detail)]);
    let file_name = file_name::clean(&announced.file_name).map_err(wrong_name)?;
    // The name alone may rule the file out, before its bytes are taken in.
    media_type::by_name(&file_name).map_err(UseCaseError::UnsupportedMedia)?;
    let outcome = take_in(blobs, tenant, staged, announced, file_name, chunks, limit).await;
    if outcome.is_err() {
        discard(blobs, staged).await;
    }
    outcome
}

/// Forgets staged bytes; if that fails, the sweeper does it later.
pub async fn discard(blobs: &dyn BlobStore, staged: Uuid) {
    if let Err(error) = blobs.discard(staged).await {
        tracing::warn!(%error, %staged, "staged bytes were left for the sweeper");
    }
}

async fn take_in(
    blobs: &dyn BlobStore,
    tenant_id: TenantId,
    staged: Uuid,
    announced: &Announced,
    file_name: String,
    mut chunks: impl Stream<Item = Result<Bytes, UseCaseError>> + Send + Unpin,
    limit: u64,
) -> Result<Received, UseCaseError> {
    let mut upload = blobs.stage(staged).await?;
    let mut hasher = Sha256::new();
    let mut size = 0_u64;
    let mut head = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk?;
        size += chunk.len() as u64;
        if size > limit {
            return Err(UseCaseError::TooLarge { limit });
        }
        hasher.update(&chunk);
        let missing = HEAD_BYTES.saturating_sub(head.len()).min(chunk.len());
        head.extend_from_slice(&chunk[..missing]);
        upload.write(chunk).await?;
    }
    if size == 0 {
        return Err(UseCaseError::Invalid(vec![Invalid::new("/file", "must not be empty")]));
    }
    upload.finish().await?;
    let sha256: [u8; 32] = hasher.finalize().into();
    verify(blobs, staged, size, sha256).await?;
    let tail = blobs.read_staged(staged, size.saturating_sub(TAIL_BYTES as u64)..size).await?;
    let refuse = UseCaseError::UnsupportedMedia;
    let kind = media_type::identify(&file_name, &announced.media_type, &head, &tail).map_err(refuse)?;
    if kind.family == Family::Container {
        let directory = zip_container::find_directory(&tail, size).map_err(refuse)?;
        let bytes = blobs.read_staged(staged, directory.start..directory.end).await?;
        zip_container::judge(directory, &bytes, &head, kind.media_type).map_err(refuse)?;
    }
    Ok(Received { staged, address: ContentAddress { tenant_id, sha256 }, size_bytes: size, kind, file_name })
}

/// Reads the staged bytes back: what was stored must be what was received.
async fn verify(blobs: &dyn BlobStore, staged: Uuid, size: u64, expected: [u8; 32]) -> Result<(), StoreError> {
    let mut hasher = Sha256::new();
    let mut at = 0;
    while at < size {
        let end = size.min(at + VERIFY_CHUNK);
        let bytes = blobs.read_staged(staged, at..end).await?;
        if bytes.len() as u64 != end - at {
            return Err(StoreError::internal("the stored bytes are shorter than those received"));
        }
        hasher.update(&bytes);
        at = end;
    }
    if <[u8; 32]>::from(hasher.finalize()) == expected {
        Ok(())
    } else {
        Err(StoreError::internal("the stored bytes are not those received"))
    }
}
